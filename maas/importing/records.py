"""Rows of arrays for a graph as it is, and one of its outputs for an answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from maas.importing.meaning import Meaning
from maas.onnx_graphs.running import output_numbers
from maas.records.signature import NUMPY_TYPES, TensorSpec
from maas.runtime.codec import Features, Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.runtime.postprocessors.regression import largest
from maas.runtime.processors import Array, SingleArrayProcessor


class Records(SingleArrayProcessor):
    """Hands arrays to a graph as they are; a row is the bytes of one record.

    Args:
        record: numpy's type of a row: a field for each input of the graph.
    """

    kind: ClassVar[str] = "records"
    modality: ClassVar[str] = "arrays"
    input_name: ClassVar[str] = "record"
    feature: ClassVar[str] = "record"

    def __init__(self, record: np.dtype[Any]) -> None:
        self.record_type = record

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns structured arrays without axes, one a row."""
        return [np.frombuffer(row, dtype=self.record_type).reshape(()) for row in rows]

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns the graph's inputs, (N, …) each; texts as objects."""
        table = np.stack([row[self.feature] for row in features])
        columns = {name: np.ascontiguousarray(table[name]) for name in self.record_type.names or ()}
        return {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in columns.items()}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """A tensor for each input."""
        types = {np.dtype(one): name for name, one in NUMPY_TYPES.items()}
        fields = [(name, self.record_type[name]) for name in self.record_type.names or ()]
        return tuple(TensorSpec(name, types.get(one.base, "BYTES"), (-1, *one.shape)) for name, one in fields)  # type: ignore[arg-type]

    @property
    def row_schema(self) -> dict[str, Any]:
        """Bytes, which JSON holds as text."""
        return {"type": "string", "contentEncoding": "base64"}

    def is_many(self, value: object) -> bool:
        """A list is many."""
        return isinstance(value, list)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The batch."""
        return {name: {0: "batch"} for name in self.record_type.names or ()}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """Nothing: no net is built for it."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Name, type and shape of each field."""
        fields = {name: self.record_type[name] for name in self.record_type.names or ()}
        return {"fields": [[name, one.base.str, list(one.shape)] for name, one in fields.items()]}

    def save(self, folder: Path) -> None:
        """Writes nothing: the settings are all there is."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings alone."""
        return cls(np.dtype([(name, kind, tuple(shape)) for name, kind, shape in settings["fields"]]))


class Reading(Postprocessor):
    """Reads one of a graph's outputs.

    Args:
        result: the output.
        meaning: meaning of its numbers.
    """

    kind: ClassVar[str] = "reading"

    def __init__(self, result: str, meaning: Meaning) -> None:
        self.result = result
        self.output = result  # type: ignore[misc]  # each plain graph has its own; other kinds have one
        self.meaning = meaning

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns the numbers of each row."""
        return [{"numbers": row} for row in self.scores(outputs).tolist()]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns the numbers, (N, K)."""
        return {self.result: self.scores(outputs)}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the numbers, (N, K): probabilities, values or vectors."""
        found = self.meaning.scores(output_numbers(outputs[self.result]))
        return found[:, None] if found.ndim == 1 else found

    def scale(self, scores: NDArray[Any]) -> float:
        """Returns the largest value; 1 for probabilities and vectors."""
        return largest(scores) if self.meaning.gives == "value" else 1.0

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The numbers."""
        return (TensorSpec(self.result, "FP32", (-1, -1)),)

    def record(self) -> dict[str, Any]:
        """Kind, output and meaning."""
        return {"kind": self.kind, "result": self.result, "gives": self.meaning.gives}
