"""Nodes and constants added to a graph, and a graph fitted between other inputs and another output.

Nothing here knows where a graph comes from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from maas.onnx_graphs.cleaning import nodes_leading_to, rename_values_
from maas.onnx_graphs.opsets import modern, with_format
from maas.onnx_graphs.reading import Axes, axis_sizes, captured_names, short_constants
from maas.runtime.codec import ModelInputs

MICROSOFT = "com.microsoft"
"""The domain of operators of ONNX Runtime's own."""
SOURCE_PREFIX = "source"
"""What the names of a graph begin with once it is part of another."""


class GraphBuilder:
    """Nodes and constants to be added to a graph, under names that a source cannot have."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._weights: set[str] = set()

    def add(self, operator: str, *inputs: str, result: str | None = None, **attributes: Any) -> str:
        """Adds a node and returns the name of its output."""
        name = f"{self.prefix}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result or name], name=name, **attributes))
        return result or name

    def add_several(
        self, operator: str, inputs: Sequence[str], results: Sequence[str], attributes: Mapping[str, Any]
    ) -> None:
        """Adds a node with named outputs; an empty name leaves an input or an output out."""
        name = f"{self.prefix}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, results, name=name, **attributes))

    def weight(self, name: str, values: NDArray[Any]) -> str:
        """Adds a constant under a name of its own, unless there is one already, and returns the name."""
        if name not in self._weights:
            self._weights.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def constant(self, values: object, dtype: type[np.generic]) -> str:
        """Adds a constant and returns its name."""
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name


def assembled(
    source: onnx.ModelProto,
    before: GraphBuilder,
    connected: Mapping[str, str],
    result: str,
    after: GraphBuilder,
    *,
    opset: int,
) -> onnx.ModelProto:
    """Puts a graph between what prepares its inputs and what reads its result.

    Args:
        source: the graph; left as it is.
        before: nodes that make its inputs from model inputs.
        connected: the graph's input → a model input, or a value of `before`.
        result: the one output that counts; what leads to no other goes, and so does a ZipMap at its end.
        after: reads the result by the name that `assembled_name` returns.
        opset: opset of a graph whose own is too old, or that has none.

    Returns:
        A model without declared inputs and outputs; `declared` gives it those.
    """
    model = modern(source, opset)
    kept = nodes_leading_to(model.graph, {_tensor_of(model.graph, result)})
    read = {name for node in kept for name in [*node.input, *captured_names(node)]}
    weights = [one for one in model.graph.initializer if one.name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(weights)
    del model.graph.input[:], model.graph.output[:], model.graph.value_info[:], model.graph.quantization_annotation[:]
    rename_values_(model.graph, lambda name: connected.get(name, f"{SOURCE_PREFIX}/{name}") if name else name)
    nodes = [*before.nodes, *model.graph.node, *after.nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*before.constants, *after.constants])
    return model


def model_of_nodes(builder: GraphBuilder, *, opset: int) -> onnx.ModelProto:
    """Returns a model of a builder's nodes alone, without declared inputs and outputs."""
    graph = helper.make_graph(builder.nodes, "main", [], [], builder.constants)
    return with_format(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def declared(
    model: onnx.ModelProto, examples: ModelInputs, axes: Axes, output: str, shape: Sequence[int | None]
) -> onnx.ModelProto:
    """Declares, in place, the model inputs as inputs and one float32 output.

    Args:
        model: model whose nodes read the model inputs by name and make `output`.
        examples: model inputs, whose types and sizes the inputs take on.
        axes: model input → axis → name, of those that may have any size.
        output: the output's name.
        shape: sizes of the output after the batch axis; None for an unknown size.
    """
    for name, array in examples.items():
        sizes = [axes.get(name, {}).get(axis, size) for axis, size in enumerate(array.shape)]
        model.graph.input.append(helper.make_tensor_value_info(name, _element_type(array.dtype), sizes))
    batch = next((names[0] for names in axes.values() if 0 in names), "batch")
    output_type = onnx.TensorProto.FLOAT
    model.graph.output.append(helper.make_tensor_value_info(output, output_type, [batch, *shape]))
    return model


def assembled_name(source: onnx.ModelProto, result: str) -> str:
    """Returns how a graph's result is called in an assembled model."""
    return f"{SOURCE_PREFIX}/{_tensor_of(source.graph, result)}"


def with_free_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Lets every Reshape that writes out a batch of a fixed size take any, in a copy.

    Args:
        model: model with inputs of `batch` rows.
        batch: rows; where it is 1, other axes of size 1 that come first are taken for the batch as well.
    """
    model = onnx.shape_inference.infer_shapes(model)
    constants = short_constants(model.graph)
    known = {value.name: axis_sizes(value.type.tensor_type) for value in [*model.graph.value_info, *model.graph.output]}
    for index, node in enumerate(model.graph.node):
        target = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        sizes = known.get(node.output[0]) if target is not None else None
        if sizes and target is not None and target.size and target[0] == batch and None not in sizes:
            name = f"{node.input[1]}/any_batch_{index}"
            model.graph.initializer.append(numpy_helper.from_array(np.array([-1, *sizes[1:]], dtype=np.int64), name))
            node.input[1] = name
    return model


def _tensor_of(graph: onnx.GraphProto, result: str) -> str:
    """Returns the name of a tensor: of an output that a ZipMap makes a list of dictionaries, what goes into it."""
    maker = next((node for node in graph.node if result in node.output), None)
    return str(maker.input[0]) if maker is not None and maker.op_type == "ZipMap" else result


def _element_type(dtype: np.dtype[Any]) -> int:
    return int(helper.np_dtype_to_tensor_dtype(dtype))
