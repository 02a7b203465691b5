"""What is inside a graph: its inputs, outputs and constants, and which node makes and reads a value."""

from collections.abc import Mapping
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

ONNX_ERRORS: tuple[type[Exception], ...] = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    onnx.version_converter.ConvertError,
    DecodeError,
    RuntimeError,
    ValueError,
)
"""What onnx raises of a graph: its own errors, which have no base, protobuf's, and those of its C++ side."""

Axes = Mapping[str, Mapping[int, str]]
"""Input → axis → name, of the axes that may have any size."""


def inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Returns the graphs that a node holds, as If and Loop do."""
    return [graph for one in node.attribute for graph in ([one.g] if one.HasField("g") else one.graphs)]


def real_inputs(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto.Tensor]:
    """Returns the inputs that a caller gives, by name; files of 2018 list their weights among the inputs, too."""
    weights = {one.name for one in graph.initializer}
    return {one.name: one.type.tensor_type for one in graph.input if one.name not in weights}


def operator_domains(model: onnx.ModelProto) -> set[str]:
    """Returns the domains of the operators that a model uses, those of inner graphs included."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in waiting:
        waiting += [inner for graph in inner_graphs(node) for inner in graph.node]
    return {"" if node.domain == "ai.onnx" else str(node.domain) for node in waiting}


def numeric_outputs(graph: onnx.GraphProto) -> list[str]:
    """Returns the outputs that hold floating-point numbers, as answers are; a ZipMap's dictionaries are among them."""
    return [one.name for one in graph.output if not _is_whole(one)]


def numeric_output(model: onnx.ModelProto) -> str:
    """Returns the name of the first output that holds no labels, which classifiers may give before their numbers."""
    return next(iter(numeric_outputs(model.graph)), str(model.graph.output[0].name))


def readers_of(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Returns the nodes that take a tensor."""
    return [node for node in graph.node if name in node.input]


def producers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Returns the nodes by the names of the tensors that they make."""
    return {name: node for node in graph.node for name in node.output}


def groups_of(node: onnx.NodeProto) -> int:
    """Returns the groups of a convolution, each of which has weights for its own channels alone."""
    return next((int(one.i) for one in node.attribute if one.name == "group"), 1)


def short_constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Returns the values of short vectors that a graph holds, as scales are."""
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer if len(one.dims) == 1}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            held[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return held


def axis_sizes(tensor: onnx.TypeProto.Tensor) -> list[int | None]:
    """Returns the size of each axis of a tensor; None for one of any size."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]


def captured_names(node: onnx.NodeProto) -> list[str]:
    """Returns every name that a node's inner graphs read; some of them are of the graph outside."""
    inner = [node for graph in inner_graphs(node) for node in graph.node]
    outputs = [value.name for graph in inner_graphs(node) for value in graph.output]
    return outputs + [name for one in inner for name in [*one.input, *captured_names(one)]]


def _is_whole(output: onnx.ValueInfoProto) -> bool:
    """Returns whether an output holds whole numbers or text, as labels do; a ZipMap's dictionaries are none."""
    tensor = output.type.tensor_type
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    return output.type.HasField("tensor_type") and tensor.elem_type not in kinds
