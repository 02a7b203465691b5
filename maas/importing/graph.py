"""ONNX graphs made elsewhere, fitted between a processor's feeds and an answer's output.

Nothing here knows where a graph comes from.
"""

import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper, version_converter

from maas.errors import ExportError
from maas.graphs import inner_graphs, rename_, require_dynamic, write_graph
from maas.importing.draft import Draft
from maas.importing.opsets import constants_of, name_as_before_, require_alike, write_out_meanings_
from maas.runtime.sessions import too_new

Feeds = Mapping[str, NDArray[Any]]
Axes = Mapping[str, Mapping[int, str]]

SOURCE = "source"
"""What the names of a graph begin with once it is part of another."""

LONGEST_REASON = 300
PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"<>:]+/)+([^\s/'\"<>:,]+)")
"""A file of this machine, of which its name is kept."""

OLDEST_OPSET = 13
"""Older files are converted: Softmax was another function until then, and quantisation by channel unknown."""


def assembled(
    source: onnx.ModelProto, before: Draft, connected: Mapping[str, str], result: str, after: Draft, *, opset: int
) -> onnx.ModelProto:
    """Puts a graph between what prepares its inputs and what reads its result.

    Args:
        source: the graph; left as it is.
        before: makes its inputs from feeds.
        connected: the graph's input → a feed, or a value of `before`.
        result: the one output that counts; what leads to no other goes, and so does a ZipMap at its end.
        after: reads the result by the name that `result_of` returns.
        opset: for a graph whose own is too old, or that has none.

    Returns:
        A model without declared inputs and outputs; `declared` gives it those.
    """
    model = modern(source, opset)
    kept = _leading_to(model.graph, {_plain(model.graph, result)})
    read = {name for node in kept for name in [*node.input, *_captured(node)]}
    weights = [one for one in model.graph.initializer if one.name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(weights)
    del model.graph.input[:], model.graph.output[:], model.graph.value_info[:], model.graph.quantization_annotation[:]
    rename_(model.graph, lambda name: connected.get(name, f"source/{name}") if name else name)
    nodes = [*before.nodes, *model.graph.node, *after.nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*before.constants, *after.constants])
    return model


def drafted(draft: Draft, *, opset: int) -> onnx.ModelProto:
    """Returns a model of a draft alone, without declared inputs and outputs."""
    graph = helper.make_graph(draft.nodes, "main", [], [], draft.constants)
    return _with_format(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def declared(
    model: onnx.ModelProto, examples: Feeds, axes: Axes, output: str, shape: Sequence[int | None]
) -> onnx.ModelProto:
    """Declares, in place, the feeds as inputs and one float32 output.

    Args:
        model: its nodes read the feeds by name and make `output`.
        examples: feeds, whose types and sizes the inputs take on.
        axes: feed → axis → name, of those that may have any size.
        output: the output's name.
        shape: of the output behind the batch; None for an unknown size.
    """
    for name, array in examples.items():
        sizes = [axes.get(name, {}).get(axis, size) for axis, size in enumerate(array.shape)]
        model.graph.input.append(helper.make_tensor_value_info(name, _element_type(array.dtype), sizes))
    batch = next((names[0] for names in axes.values() if 0 in names), "batch")
    output_type = onnx.TensorProto.FLOAT
    model.graph.output.append(helper.make_tensor_value_info(output, output_type, [batch, *shape]))
    return model


def write_checked(model: onnx.ModelProto, out: Path, examples: Feeds, axes: Axes) -> None:
    """Writes a model that ONNX's checker passes and ONNX Runtime runs on the examples.

    Raises:
        ExportError: one of them refuses it, or an axis is frozen.
    """
    require_dynamic(model, axes)
    write_graph(model, out)
    try:
        onnx.checker.check_model(model)
        ort.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, dict(examples))
    except Exception as error:  # each raises its own
        out.unlink()
        raise ExportError(f"The graph does not run: {one_line(error)}") from error


def real_inputs(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto.Tensor]:
    """Returns the inputs that a caller gives, by name; files of 2018 list their weights among the inputs, too."""
    weights = {one.name for one in graph.initializer}
    return {one.name: one.type.tensor_type for one in graph.input if one.name not in weights}


def result_of(source: onnx.ModelProto, result: str) -> str:
    """Returns how a graph's result is called in an assembled model."""
    return f"{SOURCE}/{_plain(source.graph, result)}"


def freed(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Lets every Reshape that writes out a batch of a fixed size take any, in a copy.

    Args:
        model: with inputs of `batch` rows.
        batch: rows; where it is 1, other axes of size 1 that come first are taken for the batch as well.
    """
    model = onnx.shape_inference.infer_shapes(model)
    constants = constants_of(model.graph)
    known = {value.name: _sizes(value.type.tensor_type) for value in [*model.graph.value_info, *model.graph.output]}
    for index, node in enumerate(model.graph.node):
        target = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        sizes = known.get(node.output[0]) if target is not None else None
        if sizes and target is not None and target.size and target[0] == batch and None not in sizes:
            name = f"{node.input[1]}/any_batch_{index}"
            model.graph.initializer.append(numpy_helper.from_array(np.array([-1, *sizes[1:]], dtype=np.int64), name))
            node.input[1] = name
    return model


def modern(source: onnx.ModelProto, opset: int, feeds: Feeds | None = None) -> onnx.ModelProto:
    """Returns a copy whose opset is recent enough for what is done to it.

    Args:
        source: left as it is.
        opset: that it is brought to where its own is older than 13, or where it has none.
        feeds: its inputs for some real rows, on which a conversion must change no output; None to trust it.

    Raises:
        ExportError: it cannot be converted, or an operator would give other numbers.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source)
    own = next((one for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
    if own is None:
        model.opset_import.append(helper.make_opsetid("", opset))
    elif own.version < OLDEST_OPSET:
        try:
            model = version_converter.convert_version(model, opset)
        except Exception as error:  # the converter raises what its C++ side raises
            raise ExportError(
                f"The file is of opset {own.version} and cannot be brought to {opset}: {_assertion(error)}. "
                f"Export it anew with opset {OLDEST_OPSET} or later."
            ) from error
        name_as_before_(model.graph, source.graph)
        write_out_meanings_(model.graph, own.version)
        if feeds is not None:
            _require_alike(source, _with_format(model), feeds, own.version)
    return _with_format(model)


def _assertion(error: Exception) -> str:
    """Returns what onnx's converter found, without the place in its source that it was compiled from."""
    return re.sub(r"^\S+:\d+: .*? failed: ", "", one_line(error)).rstrip(".")


def _require_alike(source: onnx.ModelProto, model: onnx.ModelProto, feeds: Feeds, opset: int) -> None:
    try:
        require_alike(source, model, feeds)
    except ExportError:
        raise
    except Exception as error:  # onnxruntime raises its own
        raise ExportError(f"It does not run once it is converted from opset {opset}: {one_line(error)}") from error


def domains_of(model: onnx.ModelProto) -> set[str]:
    """Returns the domains of the operators that a model uses, those of inner graphs included."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in waiting:
        waiting += [inner for graph in inner_graphs(node) for inner in graph.node]
    return {"" if node.domain == "ai.onnx" else str(node.domain) for node in waiting}


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leaves out, in place, nodes that lead to no output and weights that repeat others: all read the first of them."""
    graph = model.graph
    nodes = _leading_to(graph, {output.name for output in graph.output})
    del graph.node[:]
    graph.node.extend(nodes)
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    kept = {output.name for output in graph.output} | {name for node in graph.node for name in _captured(node)}
    for one in graph.initializer:
        content = onnx.TensorProto()
        content.CopyFrom(one)
        content.ClearField("name")
        name = first.setdefault(content.SerializeToString(deterministic=True), one.name)
        if name != one.name and one.name not in kept:
            same[one.name] = name
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    weights = [one for one in graph.initializer if one.name not in same]
    inputs = [one for one in graph.input if one.name not in same]  # files of 2018 list their weights there, too
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(weights)
    graph.input.extend(inputs)
    return model


def numbers_of(found: Any) -> NDArray[Any]:
    """Returns an output of ONNX Runtime as an array, (N, …); of a ZipMap's dictionaries the values, (N, K)."""
    if len(found) and isinstance(found[0], Mapping):  # label → probability
        return np.array([list(row.values()) for row in found])
    return np.asarray(found)


def outputs_of_numbers(graph: onnx.GraphProto) -> list[str]:
    """Returns the outputs that hold floating-point numbers, as answers are; a ZipMap's dictionaries are among them."""
    return [one.name for one in graph.output if not _is_whole(one)]


def one_line(error: BaseException) -> str:
    """Returns what another library's error says, as one line of bearable length: without colours and paths."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    line = " ".join(PATH.sub(r"\1", plain).split()) or type(error).__name__
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def why_not(error: Exception) -> str:
    """Returns in one line why ONNX Runtime does not open a file: first of all that the file is newer than it is."""
    return too_new(error) or f"cannot be run by ONNX Runtime: {one_line(error)}"


def reason_of(error: BaseException) -> str:
    """Returns why another library's exporter failed, as one line: what it wraps says more than its wrapping."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)


def _with_format(model: onnx.ModelProto) -> onnx.ModelProto:
    """Names each domain of operators once and in order, and raises the file's format to what they need.

    skl2onnx names a domain twice, and in another order on every run. In formats before 8, weights may be inputs.
    """
    versions: dict[str, int] = {}
    for one in model.opset_import:
        domain = "" if one.domain == "ai.onnx" else one.domain
        versions[domain] = max(one.version, versions.get(domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    needed = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(model.ir_version, needed, 8)
    return model


def _plain(graph: onnx.GraphProto, result: str) -> str:
    """Returns the name of a tensor: of an output that a ZipMap makes a list of dictionaries, what goes into it."""
    maker = next((node for node in graph.node if result in node.output), None)
    return str(maker.input[0]) if maker is not None and maker.op_type == "ZipMap" else result


def _leading_to(graph: onnx.GraphProto, results: Set[str]) -> list[onnx.NodeProto]:
    """Returns the nodes that values depend on, in their order."""
    wanted, kept = set(results), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input) | set(_captured(node))
    return kept[::-1]


def _captured(node: onnx.NodeProto) -> list[str]:
    """Returns every name that a node's inner graphs read; some of them are of the graph outside."""
    inner = [node for graph in inner_graphs(node) for node in graph.node]
    outputs = [value.name for graph in inner_graphs(node) for value in graph.output]
    return outputs + [name for one in inner for name in [*one.input, *_captured(one)]]


def _is_whole(output: onnx.ValueInfoProto) -> bool:
    """Tells whether an output holds whole numbers or text, as labels do; a ZipMap's dictionaries are none."""
    tensor = output.type.tensor_type
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    return output.type.HasField("tensor_type") and tensor.elem_type not in kinds


def _sizes(tensor: onnx.TypeProto.Tensor) -> list[int | None]:
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]


def _element_type(dtype: np.dtype[Any]) -> int:
    return int(helper.np_dtype_to_tensor_dtype(dtype))
