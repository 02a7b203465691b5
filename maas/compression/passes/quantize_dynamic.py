"""Int8 weights, activations scaled in every run. Nothing to calibrate; a batch's rows share their scales."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from maas.compression.passes.base import Calibration
from maas.errors import ExportError
from maas.onnx_graphs.files import strip_file
from maas.onnx_graphs.quantizing import WEIGHTED_OPERATORS, prepared_graph, quantizer_errors, weighted_nodes

MATRIX = 2
"""Axes."""


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
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = prepared_graph(parent)
        nodes = weighted_nodes(graph, keep_head=self.keep_head, output=calibration.output)
        nodes = _of_matrices(graph, nodes) if self.per_channel else nodes
        nodes += [f"{name}_MatMul" for name in nodes]  # what the quantiser calls a Gemm once it has split it
        with quantizer_errors("cannot quantise this graph dynamically"):
            quantize_dynamic(
                graph,
                out,
                op_types_to_quantize=list(WEIGHTED_OPERATORS),
                per_channel=self.per_channel,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                extra_options={"DefaultTensorType": 1},
            )
        strip_file(out)


def _of_matrices(graph: onnx.ModelProto, nodes: Sequence[str]) -> list[str]:
    """Returns the nodes but for those MatMuls whose weights are no matrices: these have no scales by channel.

    Raises:
        ExportError: none is left.
    """
    axes = {one.name: len(one.dims) for one in graph.graph.initializer}
    others = {
        node.name
        for node in graph.graph.node
        if node.op_type == "MatMul" and any(axes.get(name, MATRIX) != MATRIX for name in node.input)
    }
    kept = [name for name in nodes if name not in others]
    if not kept:
        raise ExportError("No weights are matrices, as scales by channel need them. Set per_channel=false.")
    return kept
