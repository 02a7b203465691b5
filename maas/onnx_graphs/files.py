"""Graphs as files: the same bytes on every run, no frozen axes, all weights inside."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime as ort
from onnx.external_data_helper import uses_external_data

from maas.errors import ConfigError, ExportError, one_line
from maas.onnx_graphs.cleaning import stripped
from maas.onnx_graphs.reading import ONNX_ERRORS, Axes
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS

UNREADABLE: tuple[type[Exception], ...] = (OSError, *ONNX_ERRORS)
LARGEST_FILE_BYTES = 1_500_000_000  # protobuf's own limit is 2 GiB


def read_graph(path: Path) -> onnx.ModelProto:
    """Reads a file, with the weights that lie beside it.

    Raises:
        ConfigError: it is missing or no ONNX file, or a file of weights is gone.
    """
    try:
        return onnx.load(path)
    except UNREADABLE as error:
        raise ConfigError(f"{path} cannot be read as ONNX: {one_line(error)}.") from error


def write_whole(path: Path, model: onnx.ModelProto, out: Path) -> None:
    """Writes one file that holds all weights: a copy, where the given one does.

    Args:
        path: the given file.
        model: model that `read_graph` returned.
        out: the file to write.
    """
    if any(uses_external_data(one) for one in onnx.load(path, load_external_data=False).graph.initializer):
        onnx.save(model, out)
    else:
        shutil.copyfile(path, out)


def require_dynamic(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> None:
    """Checks that axes may have any size.

    Args:
        model: model whose inputs are checked.
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
    if len(content) > LARGEST_FILE_BYTES:
        raise ExportError(f"The model has {len(content)} bytes; one ONNX file holds at most {LARGEST_FILE_BYTES}.")
    out.write_bytes(content)


def strip_file(path: Path) -> None:
    """Strips what a quantiser left of itself, in place, so that the same work gives the same bytes."""
    write_graph(onnx.load(path), path)


def write_checked(model: onnx.ModelProto, out: Path, examples: ModelInputs, axes: Axes) -> None:
    """Writes a model that ONNX's checker passes and ONNX Runtime runs on the examples.

    Raises:
        ExportError: one of them refuses it, or an axis is frozen.
    """
    require_dynamic(model, axes)
    write_graph(model, out)
    try:
        onnx.checker.check_model(model)
        ort.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, dict(examples))
    except (*ONNX_ERRORS, *ORT_ERRORS) as error:
        out.unlink()
        raise ExportError(f"The graph does not run: {one_line(error)}.") from error
