"""Graphs in formats as old as their operators, for the tests of opsets and of imported files."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)
FLOAT = TensorProto.FLOAT
node = helper.make_node


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def model_of(opset: int, nodes: list[onnx.NodeProto], sizes: tuple, **weights: np.ndarray) -> onnx.ModelProto:
    """A graph from `x` of some sizes to `y`, in a format as old as its operators."""
    ends = [helper.make_tensor_value_info("x", FLOAT, sizes), helper.make_tensor_value_info("y", FLOAT, None)]
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "old", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
