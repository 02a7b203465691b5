"""Predictions as columns of a table: those of `predict`, and scores of more labels where they are wanted."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maas.errors import ConfigError
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors import Postprocessor

SCORE, LABEL, PROBABILITY = "score", "label", "probability"


class PredictionColumns:
    """Names the predictions of a model as columns.

    A number is float64, as `predict` gives it, a vector a list of float32, whose numbers are the same; what a table
    cannot hold is JSON.

    Args:
        postprocessor: makes predictions of the graph's outputs.
        example: a prediction, whose keys and types are those of all.
        prefix: what begins each name.
        top_k: number of labels that have columns, the likeliest first; 1 for those of the prediction alone.
        has_probabilities: whether each label has a column.

    Raises:
        ConfigError: more labels are wanted than there are, or the model has none.
    """

    def __init__(
        self,
        postprocessor: Postprocessor,
        example: Mapping[str, object],
        prefix: str,
        top_k: int = 1,
        *,
        has_probabilities: bool = False,
    ) -> None:
        self._postprocessor = postprocessor
        self._labels = postprocessor.labels
        self._top_k = top_k
        self._has_probabilities = has_probabilities
        self._types = {key: _type_of(value) for key, value in example.items()}
        if (top_k > 1 or has_probabilities) and not self._labels:
            raise ConfigError(
                f"{'top_k' if top_k > 1 else 'probabilities'} is of models that choose among labels; this one gives "
                f"{', '.join(example)}. Leave it out."
            )
        if top_k > max(len(self._labels), 1):
            raise ConfigError(f"top_k is {top_k}; the model has {len(self._labels)} labels. Set top_k to at most that.")
        more = [f"{what}_{rank}" for rank in range(2, top_k + 1) for what in (LABEL, SCORE)]
        every = [f"{PROBABILITY}_{label}" for label in self._labels] if has_probabilities else []
        types = [pa.string() if name.startswith(LABEL) else pa.float64() for name in more]
        fields = [*self._types.items(), *zip(more, types, strict=True), *((name, pa.float64()) for name in every)]
        self.schema = pa.schema([(f"{prefix}{name}", type_) for name, type_ in fields])

    def of(self, outputs: Outputs) -> pa.Table:
        """Returns the predictions of a graph's outputs, a row for each of theirs."""
        arrays = [*self._predicted(outputs), *self._scored(outputs)]
        return pa.Table.from_arrays([pa.chunked_array([array]) for array in arrays], schema=self.schema)

    def _predicted(self, outputs: Outputs) -> list[pa.Array]:
        tensors = self._postprocessor.tensors(outputs)
        if set(self._types) <= set(tensors):
            return [_array(tensors[key], type_) for key, type_ in self._types.items()]
        predictions = self._postprocessor.predictions(outputs)
        return [_listed([one.get(key) for one in predictions], type_) for key, type_ in self._types.items()]

    def _scored(self, outputs: Outputs) -> list[pa.Array]:
        """Returns labels and scores of the ranks after the first, and scores of all labels."""
        if self._top_k == 1 and not self._has_probabilities:
            return []
        scores = self._postprocessor.scores(outputs)
        order = np.argsort(-scores, axis=1, kind="stable")[:, 1 : self._top_k]
        names = np.array(self._labels, dtype=object)
        found: list[pa.Array] = []
        for places in order.T:
            found += [
                pa.array(names[places], pa.string()),
                _array(scores[np.arange(len(scores)), places], pa.float64()),
            ]
        every = scores.T if self._has_probabilities else ()
        return [*found, *(_array(column, pa.float64()) for column in every)]


def _type_of(value: object) -> pa.DataType:
    if isinstance(value, bool | int | float):
        return pa.bool_() if isinstance(value, bool) else pa.float64()
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        return pa.list_(pa.float32())
    return pa.list_(pa.string()) if isinstance(value, list) else pa.string()


def _array(values: NDArray[np.generic], type_: pa.DataType) -> pa.Array:
    """Returns what a tensor holds for each row."""
    if pa.types.is_list(type_):
        offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1), type_.value_type))
    return pa.array(np.ascontiguousarray(values.astype(np.float64) if pa.types.is_floating(type_) else values), type_)


def _listed(values: Sequence[object], type_: pa.DataType) -> pa.Array:
    if pa.types.is_string(type_):
        values = [one if one is None or isinstance(one, str) else msgspec.json.encode(one).decode() for one in values]
    return pa.array(values, type_)
