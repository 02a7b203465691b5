"""What passes on the ONNX side need to know of a graph."""

from pathlib import Path

import onnx

from maas.errors import ExportError
from maas.exporting.torch_onnx import stripped

WEIGHTED = ("Conv", "MatMul", "Gemm", "Gather")
"""Operators whose weights are quantised; all others stay in fp32."""


def load_graph(path: Path) -> onnx.ModelProto:
    """Loads an ONNX file for a quantiser, which trips over shapes that another tool inferred."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


def save_graph(path: Path) -> None:
    """Strips what a quantiser left of itself, in place, so that the same work gives the same bytes."""
    path.write_bytes(stripped(onnx.load(path)).SerializeToString(deterministic=True))


def head_of(model: onnx.ModelProto) -> str:
    """Returns the name of the last weighted node before the first output: the one that makes the logits.

    Raises:
        ExportError: the graph has no weighted node.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    waiting = [model.graph.output[0].name]
    while waiting:
        node = producers.get(waiting.pop(0))
        if node is None:
            continue
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            return str(node.name)
        waiting += node.input
    raise ExportError("The graph has no Conv, MatMul or Gemm before its output; there is nothing to quantise.")
