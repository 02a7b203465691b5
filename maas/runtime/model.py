"""Raw rows in, predictions out: the one inference path. It knows no queue and no protocol."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from maas.errors import BundleError, InputError
from maas.records.signature import Signature
from maas.runtime.codec import (
    ArrayFeatures,
    Codec,
    Features,
    IsWanted,
    ModelInputs,
    Outputs,
    Run,
    WantedRows,
    nbytes_of,
)
from maas.runtime.graph import Graph
from maas.runtime.moments import extremes
from maas.runtime.postprocessors import Postprocessor
from maas.runtime.processors import preprocessed_pieces

BLOCK_BYTES = 64 * 2**20
"""Of encoded rows that wait for their batch: batches of equal size are sought among so many."""


class Runnable(Protocol):
    """What a predictor runs where one graph is not all of a model."""

    def run(self, model_inputs: ModelInputs) -> Outputs:
        """Returns the outputs of a batch, (N, …) each."""
        ...


@runtime_checkable
class StoppableGraph(Runnable, Protocol):
    """What takes many steps for a batch, and may leave rows out in the middle of it."""

    def run_wanted(self, model_inputs: ModelInputs, is_wanted: IsWanted) -> Outputs:
        """Returns the outputs of a batch, (N, …) each; those of rows that are not wanted any more mean nothing."""
        ...


class Predictor:
    """A codec, a graph, and what the graph's outputs mean.

    Args:
        model: the ONNX file, or what is run in its place.
        processor: reads raw rows.
        postprocessor: names the outputs.
        batch_size: the most rows that one run of the graph takes.
        threads: ONNX Runtime's intra-op threads; they never spin.
        providers: execution providers, the preferred one first.

    Raises:
        BundleError: ONNX Runtime cannot load the file.
    """

    def __init__(
        self,
        model: Path | Runnable,
        processor: Codec,
        postprocessor: Postprocessor,
        *,
        batch_size: int = 32,
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        self.processor = processor
        self.postprocessor = postprocessor
        self.batch_size = batch_size
        self.threads = threads
        self.graph: Runnable = Graph(model, threads, providers) if isinstance(model, Path) else model

    @property
    def session(self) -> ort.InferenceSession:
        """ONNX Runtime's session of the graph.

        Raises:
            BundleError: the model is more than one graph.
        """
        if not isinstance(self.graph, Graph):
            raise BundleError("The model runs several graphs many times for a row; none of them can be timed alone.")
        return self.graph.session

    @property
    def signature(self) -> Signature:
        """The raw input's and the answer's tensors."""
        return Signature(self.processor.input_specs, self.postprocessor.specs)

    def with_graph(self, graph: Runnable) -> "Predictor":
        """Returns a predictor that runs another graph, or this one otherwise."""
        made = (self.processor, self.postprocessor)
        return Predictor(graph, *made, batch_size=self.batch_size, threads=self.threads)

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Checks and converts raw rows.

        Raises:
            InputError: `rows` is not a sequence of rows, or one of them cannot be understood.
        """
        self._require_rows(rows)
        return self.processor.preprocess(rows)

    def batches(self, features: Sequence[Features]) -> Iterator[list[int]]:
        """Yields the row numbers of each batch: equal padded size, at most `batch_size` rows, in order."""
        return batches_of(self.processor, features, self.batch_size)

    def run(self, features: Sequence[Features]) -> Outputs:
        """Runs the graph once over rows of equal padded size and returns its outputs, (N, …) each."""
        if isinstance(features, WantedRows) and isinstance(self.graph, StoppableGraph):
            return self.graph.run_wanted(self.processor.batch(features), features.is_wanted)
        return self.graph.run(self.processor.batch(features))

    def outputs(self, rows: Sequence[Any]) -> Outputs:
        """Returns the graph's outputs for raw rows, in the order of the rows."""
        self._require_rows(rows)
        return outputs_in_batches(self.processor, rows, self.batch_size, self.graph.run)

    def outputs_of(self, features: ArrayFeatures) -> Outputs:
        """Returns the graph's outputs for preprocessed rows of one shape, one row or more, in batches as `outputs`."""
        starts = range(0, len(features), self.batch_size)
        parts = [self.run(features[start : start + self.batch_size]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _require_rows(self, rows: Any) -> None:
        if isinstance(rows, str | bytes | dict) or not hasattr(rows, "__len__"):
            raise InputError(f"predict takes a list of inputs; it was given one {type(rows).__name__}. Write [input].")
        if hasattr(rows, "columns"):
            raise InputError("predict takes a list of inputs; it was given a table. Write e.g. list(table['text']).")
        if not len(rows):
            raise InputError("No rows were given; the model needs at least one.")
        specs = self.processor.input_specs
        one = specs[0].shape[1:]
        if len(specs) == 1 and len(one) > 1 and -1 not in one and _sizes(rows) == one:
            raise InputError(f"predict takes a list of inputs; it was given one of shape {list(one)}. Write [input].")

    def scores(self, rows: Sequence[Any]) -> NDArray[Any]:
        """Returns the plain numbers of raw rows, (N, K)."""
        return self.postprocessor.scores(self.outputs(rows))

    def predict(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Returns one prediction a row.

        Raises:
            InputError: a row cannot be understood, or has no answer that is a finite number.
        """
        outputs = self.outputs(rows)
        if fault := not_finite(outputs):
            raise InputError(fault)
        return self.postprocessor.predictions(outputs)


def not_finite(outputs: Outputs) -> str | None:
    """Says of the first output with a number that is not finite whose it is; None where there is none."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.size and not all(map(math.isfinite, extremes(array))):
            row = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
            return (
                f"The model's {name} for row {row} is not a finite number; a value is missing that it needs, or lies "
                "far outside of what the model was trained on."
            )
    return None


def _sizes(rows: Any) -> tuple[int, ...]:
    """Returns the sizes of an array, or of nested lists along the first of each."""
    if isinstance(rows, np.ndarray):
        return tuple(rows.shape)
    sizes: list[int] = []
    while isinstance(rows, list) and rows:
        sizes.append(len(rows))
        rows = rows[0]
    return tuple(sizes)


def batches_of(processor: Codec, features: Sequence[Features], batch_size: int) -> Iterator[list[int]]:
    """Yields the row numbers of each batch: equal padded size, at most `batch_size` rows, in order."""
    groups: dict[int, list[int]] = {}
    for index, row in enumerate(features):
        groups.setdefault(processor.bucket(row), []).append(index)
    for group in groups.values():
        if not processor.row_keys:  # each counts as one
            yield from (group[start : start + batch_size] for start in range(0, len(group), batch_size))
            continue
        sizes = [processor.slots(features[index]) for index in group]
        yield from (group[part] for part in parts_of_size(sizes, batch_size))


def parts_of_size(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Yields neighbours of at most so much size together, or one alone that is larger.

    Example:
        >>> list(parts_of_size([1, 1, 2, 5, 1], 3))
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    start = total = 0
    for place, size in enumerate(sizes):
        if place > start and total + size > most:
            yield slice(start, place)
            start, total = place, 0
        total += size
    yield slice(start, len(sizes))


def outputs_in_batches(processor: Codec, rows: Sequence[Any], batch_size: int, run: Run) -> Outputs:
    """Answers raw rows with any way of running the graph, batched alike.

    Args:
        processor: encodes and collates.
        rows: N raw inputs, one or more.
        batch_size: the most rows in a batch.
        run: the graph's inputs to its outputs, (n, …) each.

    Returns:
        The outputs, (N, …) each, in the order of the rows.
    """
    order: list[int] = []
    parts: list[Outputs] = []
    for first, features in _blocks(processor, rows):
        for batch in batches_of(processor, features, batch_size):
            order += [first + index for index in batch]
            parts.append(run(processor.batch([features[index] for index in batch])))
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def _blocks(processor: Codec, rows: Sequence[Any]) -> Iterator[tuple[int, list[Features]]]:
    """Yields the number of a block's first row, and the encoded rows; the last block may be smaller."""
    first, block, size = 0, list[Features](), 0
    for piece in preprocessed_pieces(processor, rows):
        block += piece
        size += sum(map(nbytes_of, piece))
        if size > BLOCK_BYTES:
            yield first, block
            first, block, size = first + len(block), [], 0
    if block:
        yield first, block
