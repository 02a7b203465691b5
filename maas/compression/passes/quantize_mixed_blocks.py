"""Weights of 4 bits in blocks where the output suffers least, and of 8 bits elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.bounds import Count, NonNegative
from maas.compression.passes.base import Calibration
from maas.compression.passes.quantize_blocks import BlockSize
from maas.errors import ExportError
from maas.onnx_graphs.block_quantizing import as_held, block_matrices, embedding_names, in_blocks, with_open_weights
from maas.onnx_graphs.block_weights import BlockMatrix, eight_bit_matrix, four_bit_matrix
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.head_padding import Matrix
from maas.onnx_graphs.opsets import OLDEST_OPSET, modern
from maas.onnx_graphs.reading import numeric_output
from maas.onnx_graphs.running import open_session, output_numbers
from maas.runtime.codec import ModelInputs


@dataclass(frozen=True)
class QuantizeMixedBlocks:
    """Four- and eight-bit weights by measured sensitivity, by ONNX Runtime's MatMulNBits.

    A matrix whose weights lie on 16 levels in each block already, as in a file of four bits that a model came in, takes
    four bits without a loss. Of the others, as many do as the tolerance allows, those first that change the output
    least for each of their weights when they alone have four bits. Embeddings, and heads that are embeddings too, take
    eight.

    Args:
        tolerance: largest error that four bits of weights cause, RMS(output - plain) / std(plain) on training rows; 0
            gives four bits to those alone that lose nothing.
        sensitivity_rows: number of training rows for measuring errors.
        block_size: weights along the inputs that share a scale.
        accuracy_level: 4 to round activations to int8 in every block; 0 or 1 to multiply in fp32, for which ONNX
            Runtime expands weights of eight bits at every run, and is slow.
    """

    tolerance: NonNegative = 0.1
    sensitivity_rows: Count = 16
    block_size: BlockSize = 32
    accuracy_level: Literal[0, 1, 4] = 4
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = modern(onnx.load(parent), OLDEST_OPSET)
        found = block_matrices(graph)
        few = {
            name: four_bit_matrix(found[name], self.block_size)
            for name in sorted(found.keys() - embedding_names(graph))
        }
        lossless = {name for name, one in few.items() if one.holds(found[name])}
        lossy = {name: one for name, one in few.items() if name not in lossless}
        chosen = lossless | set(self._tolerated(graph, lossy, calibration))
        if not chosen:
            raise ExportError(
                f"No matrix of the graph takes four bits within a tolerance of {self.tolerance:g}; all take eight."
            )
        held = {
            name: few[name] if name in chosen else eight_bit_matrix(weights, self.block_size)
            for name, weights in found.items()
        }
        write_graph(in_blocks(graph, held, accuracy_level=self.accuracy_level), out)

    def _tolerated(
        self, graph: onnx.ModelProto, lossy: Mapping[str, BlockMatrix], calibration: Calibration
    ) -> Sequence[str]:
        """Returns the most matrices, the least sensitive first, whose four bits the tolerance allows."""
        if not lossy or not self.tolerance:
            return ()
        rounded = as_held(graph, {name: one.weights for name, one in lossy.items()})
        gauge = _Gauge(graph, rounded, list(calibration.model_inputs(self.sensitivity_rows)), calibration.output)
        errors = {name: gauge.error([name]) for name in rounded}
        order = sorted(rounded, key=lambda name: errors[name] ** 2 / rounded[name].size)
        fewest, most = 0, len(order)
        while fewest < most:
            middle = (fewest + most + 1) // 2
            if gauge.error(order[:middle]) <= self.tolerance:
                fewest = middle
            else:
                most = middle - 1
        return order[:fewest]


class _Gauge:
    """Measures how far an output lies from the plain one when some matrices are rounded, in fp32 and by one session.

    Args:
        graph: graph in fp32.
        rounded: what matrices become, the way round that the graph holds them.
        rows: training rows, batch by batch.
        output: name of the output; None for the first of numbers.
    """

    def __init__(
        self, graph: onnx.ModelProto, rounded: Mapping[str, Matrix], rows: Sequence[ModelInputs], output: str | None
    ) -> None:
        self._session = open_session(with_open_weights(graph, rounded))
        self._rounded, self._rows = rounded, rows
        self._output = output or numeric_output(graph)
        self._plain = self._outputs([])

    def error(self, names: Sequence[str]) -> float:
        """Returns RMS(output - plain) / std(plain) with these matrices rounded; infinite where std is 0, RMS not."""
        missed, spread = np.sqrt(np.mean((self._outputs(names) - self._plain) ** 2)), self._plain.std()
        return float(missed / spread) if spread else float("inf") if missed else 0.0

    def _outputs(self, names: Sequence[str]) -> NDArray[np.float64]:
        weights = {name: self._rounded[name] for name in names}
        found = [self._session.run([self._output], {**one, **weights})[0] for one in self._rows]
        return np.concatenate([output_numbers(one).astype(np.float64).ravel() for one in found])
