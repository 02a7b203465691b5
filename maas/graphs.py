"""ONNX graphs, whoever made them: the same bytes on every run, no frozen axes, one file."""

from collections.abc import Mapping
from pathlib import Path

import onnx

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
