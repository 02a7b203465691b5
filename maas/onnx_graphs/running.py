"""Graphs run by ONNX Runtime as they are: outputs, values inside, and why a file is not opened."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from maas.errors import ExportError, one_line
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS, session_options, too_new


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """Opens a graph in memory on the CPU.

    Raises:
        ExportError: ONNX Runtime has no way to run it.
    """
    options = session_options()
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ExportError(f"ONNX Runtime cannot run this graph on a CPU: {one_line(error)}.") from error


def computed_values(
    model: onnx.ModelProto, model_inputs: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Returns values inside a graph as ONNX Runtime computes them without optimisation, node by node.

    Args:
        model: model to run, left as it is.
        model_inputs: inputs by name.
        names: names of values inside the graph, or of outputs.
    """
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        exposing(model, names).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(list(names), dict(model_inputs)), strict=True))


def activations(
    graph: onnx.ModelProto, names: Sequence[str], model_inputs: Sequence[ModelInputs]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields the values of tensors of fp32 by name, batch by batch.

    Args:
        graph: graph in fp32.
        names: names of tensors that the graph computes or is fed with; those of other types are left out.
        model_inputs: rows, batch by batch.
    """
    inputs = {one.name for one in graph.graph.input}
    computed = [name for name in names if name not in inputs]
    session = open_session(exposing(graph, computed))
    for model_input in model_inputs:
        arrays = {name: model_input[name] for name in names if name in inputs}
        arrays |= dict(zip(computed, session.run(computed, model_input) if computed else (), strict=True))
        yield from ((name, one) for name, one in arrays.items() if one.dtype == np.float32 and one.size)


def exposing(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Returns a copy that has values inside the graph among its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {output.name for output in model.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    return copy


def output_numbers(found: NDArray[Any] | Sequence[Mapping[object, float]]) -> NDArray[Any]:
    """Returns an output of ONNX Runtime as an array, (N, …); of a ZipMap's dictionaries the values, (N, K)."""
    if len(found) and isinstance(found[0], Mapping):  # label → probability
        return np.array([list(row.values()) for row in found])
    return np.asarray(found)


def why_not_opened(error: Exception) -> str:
    """Returns in one line why ONNX Runtime does not open a file: first of all that the file is newer than it is."""
    return too_new(error) or f"cannot be run by ONNX Runtime: {one_line(error)}."
