"""Int8 weights and uint8 activations whose ranges were measured on training rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from maas.bounds import ClosedFraction, Count, PositiveFraction
from maas.compression.passes.base import Calibration
from maas.errors import ExportError
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.folding import fold_scales_
from maas.onnx_graphs.quantizing import prepared_graph, stem_nodes, weighted_nodes
from maas.onnx_graphs.static_quantizer import StaticQuantizer


@dataclass(frozen=True)
class QuantizeStatic:
    """ONNX Runtime's static quantisation of the weighted operators, in QDQ form.

    Args:
        calibration_rows: number of training rows whose activations are measured.
        method: rule that draws a range from them.
        coverage: fraction of the values that `percentile` keeps in the range.
        smoothing: strength, from 0 to 1, of evening out a MatMul's input channels first, at the cost of its weights'
            levels; null for none.
        per_channel: a weight scale for each output channel instead of one for the tensor.
        keep_head: leave the last weighted node, which makes the logits, in fp32.
        keep_stem: leave convolutions over up to four channels, as of pictures, in fp32, where they are faster.
    """

    calibration_rows: Count = 256
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    coverage: PositiveFraction = 0.99999
    smoothing: ClosedFraction | None = 0.85
    per_channel: bool = True
    keep_head: bool = True
    keep_stem: bool = True
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        nodes, quantizer = self.prepared(parent, calibration)
        write_graph(quantizer.quantized(nodes), out)

    def prepared(self, parent: Path, calibration: Calibration) -> tuple[list[str], StaticQuantizer]:
        """Returns the names of the nodes that may be quantised, and what quantises any of them.

        Raises:
            ExportError: there are none, or onnxruntime cannot measure them.
        """
        graph = prepared_graph(parent)
        stem = stem_nodes(graph)
        fold_scales_(graph.graph, stem)
        weighted = weighted_nodes(graph, keep_head=self.keep_head, output=calibration.output)
        nodes = [node for node in weighted if not self.keep_stem or node not in stem]
        if not nodes:
            raise ExportError(
                "Beside its head, this graph has weights only in convolutions over few channels; keep_stem=false takes "
                "these, too."
            )
        quantizer = StaticQuantizer.measured(
            graph,
            nodes,
            calibration.model_inputs(self.calibration_rows),
            method=self.method,
            coverage=self.coverage,
            smoothing=self.smoothing,
            per_channel=self.per_channel,
        )
        return nodes, quantizer
