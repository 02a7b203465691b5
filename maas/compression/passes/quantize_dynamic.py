"""Int8 weights, activations scaled anew in every run. Nothing to calibrate; a batch's rows share their scales."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from onnxruntime.quantization import QuantType, quantize_dynamic

from maas.compression.graph import WEIGHTED, load_graph, save_graph, weighted_nodes
from maas.compression.passes.base import Calibration
from maas.errors import ExportError


@dataclass(frozen=True)
class QuantizeDynamic:
    """ONNX Runtime's dynamic quantisation of the weighted operators.

    Args:
        per_channel: a scale for each output channel instead of one for the tensor.
        keep_head: leave the last weighted node, which makes the logits, in fp32.
    """

    per_channel: bool = True
    keep_head: bool = True
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = load_graph(parent)
        nodes = weighted_nodes(graph, keep_head=self.keep_head)
        nodes += [f"{name}_MatMul" for name in nodes]  # what the quantiser calls a Gemm once it has split it
        try:
            quantize_dynamic(
                graph,
                out,
                op_types_to_quantize=list(WEIGHTED),
                per_channel=self.per_channel,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                extra_options={"DefaultTensorType": 1},
            )
        except Exception as error:  # the quantiser raises whatever its handlers meet
            raise ExportError(f"onnxruntime cannot quantise this graph dynamically: {error}") from error
        save_graph(out)
