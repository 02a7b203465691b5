"""Static int8 but for the nodes that the output suffers from most: these stay in fp32."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.bounds import Count, Fraction, Positive
from maas.compression.passes.base import Calibration
from maas.compression.passes.quantize_static import QuantizeStatic
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.quantizing import weight_counts
from maas.onnx_graphs.reading import numeric_output
from maas.onnx_graphs.running import open_session, output_numbers
from maas.onnx_graphs.static_quantizer import StaticQuantizer
from maas.runtime.codec import ModelInputs


@dataclass(frozen=True)
class QuantizeMixed(QuantizeStatic):
    """Static quantisation with mixed precision by measured sensitivity.

    The error of a graph is how far its output lies from the plain one on training rows, relative to the plain
    one's spread: RMS(output - plain) / std(plain). Each node is quantised alone first. Those whose squared error is
    largest for each of their weights then return to fp32, as few as the tolerance requires.

    Args: those of `QuantizeStatic`, and
        tolerance: largest error.
        max_fraction: largest fraction of the weights that may stay in fp32, the head not counted.
        sensitivity_rows: number of training rows for measuring errors.
    """

    tolerance: Positive = 0.03
    max_fraction: Fraction = 0.25
    sensitivity_rows: Count = 64

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        nodes, quantizer = self.prepared(parent, calibration)
        gauge = Gauge.of(quantizer.graph, calibration.model_inputs(self.sensitivity_rows), calibration.output)
        kept = self._kept(nodes, quantizer, gauge)
        write_graph(quantizer.quantized([node for node in nodes if node not in kept]), out)

    def _kept(self, nodes: Sequence[str], quantizer: StaticQuantizer, gauge: "Gauge") -> Sequence[str]:
        """Returns the fewest of the most sensitive nodes that must stay in fp32, or as many as may."""
        if gauge.error(quantizer.quantized(nodes)) <= self.tolerance:
            return ()
        weights = weight_counts(quantizer.graph)
        errors = {node: gauge.error(quantizer.quantized([node])) for node in nodes}
        order = sorted(nodes, key=lambda node: errors[node] ** 2 / weights[node], reverse=True)
        order = _within(order, weights, self.max_fraction * sum(weights[node] for node in nodes))
        fewest, enough = 1, len(order)
        while fewest < enough:
            middle = (fewest + enough) // 2
            left = [node for node in nodes if node not in order[:middle]]
            if gauge.error(quantizer.quantized(left)) <= self.tolerance:
                enough = middle
            else:
                fewest = middle + 1
        return order[:enough]


@dataclass(frozen=True)
class Gauge:
    """Measures how far a graph's evaluated output lies from the plain one; other outputs are ignored.

    Args:
        model_inputs: training rows, batch by batch.
        plain: the plain graph's output on them, flat.
        output: name of the output.
    """

    model_inputs: Sequence[ModelInputs]
    plain: NDArray[Any]
    output: str

    @classmethod
    def of(cls, graph: onnx.ModelProto, model_inputs: Iterable[ModelInputs], output: str | None = None) -> Self:
        """Builds a gauge from the plain graph and training rows; without a name the first output of numbers counts."""
        rows, name = list(model_inputs), output or numeric_output(graph)
        return cls(rows, _outputs_of(graph, rows, name), name)

    def error(self, model: onnx.ModelProto) -> float:
        """Returns RMS(output - plain) / std(plain); infinite where a plain output that never changes is missed."""
        missed = float(np.sqrt(np.mean((_outputs_of(model, self.model_inputs, self.output) - self.plain) ** 2)))
        spread = float(self.plain.std())
        return missed / spread if spread else float("inf") * missed if missed else 0.0


def _outputs_of(model: onnx.ModelProto, model_inputs: Sequence[ModelInputs], name: str) -> NDArray[Any]:
    session = open_session(model)
    return np.concatenate(
        [output_numbers(session.run([name], one)[0]).astype(np.float64).ravel() for one in model_inputs]
    )


def _within(order: Sequence[str], weights: dict[str, int], budget: float) -> list[str]:
    """Returns the nodes in order, without those whose weights a budget has no room for."""
    kept: list[str] = []
    for node in order:
        if weights[node] <= budget:
            kept.append(node)
            budget -= weights[node]
    return kept
