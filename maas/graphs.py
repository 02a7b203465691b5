"""ONNX graphs, whoever made them: the same bytes on every run, no frozen axes, one file; and what is inside of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from maas.errors import ExportError

LARGEST_BYTES = 1_500_000_000  # protobuf's own limit is 2 GiB


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Removes, in place, what an exporter leaves of itself: metadata, documentation, inferred shapes.

    Inferred shapes go because onnxruntime's quantiser trips over those that torch's exporter writes.
    """
    model.producer_name, model.producer_version, model.doc_string = "maas", "", ""
    graph = model.graph
    graph.name, graph.doc_string = "main", ""
    del graph.value_info[:]
    for element in [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *model.functions]:
        del element.metadata_props[:]
        element.ClearField("doc_string") if hasattr(element, "doc_string") else None
    return model


def require_dynamic(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> None:
    """Checks that axes may have any size.

    Args:
        model: whose inputs are looked at.
        axes: input → axis → name.

    Raises:
        ExportError: one was frozen.
    """
    for value in model.graph.input:
        for axis, name in axes.get(value.name, {}).items():
            dim = value.type.tensor_type.shape.dim[axis]
            if not dim.dim_param:
                raise ExportError(
                    f"Axis {axis} ({name}) of input {value.name} was frozen at {dim.dim_value}; it must be dynamic. "
                    "The net branches on a shape, or uses one as a Python number."
                )


def write_graph(model: onnx.ModelProto, out: Path) -> None:
    """Writes a stripped model as one file.

    Raises:
        ExportError: it would be too large.
    """
    content = stripped(model).SerializeToString(deterministic=True)
    if len(content) > LARGEST_BYTES:
        raise ExportError(f"The model has {len(content)} bytes; one ONNX file holds at most {LARGEST_BYTES}.")
    out.write_bytes(content)


def inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Returns the graphs that a node holds, as If and Loop do."""
    return [graph for one in node.attribute for graph in ([one.g] if one.HasField("g") else one.graphs)]


def values_of(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, Any]:
    """Returns values inside a graph as ONNX Runtime computes them without optimisation, node by node.

    Args:
        model: left as it is.
        feeds: its inputs.
        names: of values; outputs are some of them.
    """
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    outputs = {output.name for output in model.graph.output}
    probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), dict(feeds)), strict=True))


def rename_(graph: onnx.GraphProto, named: Callable[[str], str]) -> None:
    """Renames every value of a graph and of the graphs inside it, in place."""
    for node in graph.node:
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
        for inner in inner_graphs(node):
            rename_(inner, named)
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = named(value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = named(sparse.values.name)
