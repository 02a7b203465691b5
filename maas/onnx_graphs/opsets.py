"""A recent opset for old graphs.

The converter of onnx rewrites what changed its form. Where an operator changed its meaning and the converter is silent,
the old meaning is written out here; real rows show whether anything else was missed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, version_converter

from maas.errors import ExportError, one_line
from maas.onnx_graphs.cleaning import rename_values_
from maas.onnx_graphs.reading import ONNX_ERRORS, inner_graphs, short_constants
from maas.onnx_graphs.running import computed_values
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS

OLDEST_OPSET = 13
"""Older files are converted: Softmax was another function until then, and quantisation by channel unknown."""

COORDINATES_OPSET = 11
"""Since then Resize declares how coordinates are mapped, by default otherwise than before."""

_LARGEST_CHANGE = 1e-4
"""How much a number up to 1 may change by a conversion; of larger ones a fraction."""

_Values = Mapping[str, NDArray[Any]]


def modern(source: onnx.ModelProto, opset: int, model_inputs: ModelInputs | None = None) -> onnx.ModelProto:
    """Returns a copy whose opset is recent enough for what is done to it.

    Args:
        source: model to copy, left as it is.
        opset: opset that it is brought to where its own is older than 13, or where it has none.
        model_inputs: inputs of some real rows, on which a conversion must change no output; None to trust it.

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
        except ONNX_ERRORS as error:
            raise ExportError(
                f"The file is of opset {own.version} and cannot be brought to {opset}: {_assertion(error)}. "
                f"Export it again with opset {OLDEST_OPSET} or later."
            ) from error
        name_as_before_(model.graph, source.graph)
        write_out_meanings_(model.graph, own.version)
        if model_inputs is not None:
            _require_converted_alike(source, with_format(model), model_inputs, own.version)
    return with_format(model)


def with_format(model: onnx.ModelProto) -> onnx.ModelProto:
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


def _assertion(error: Exception) -> str:
    """Returns what onnx's converter found, without the place in its source that it was compiled from."""
    return re.sub(r"^\S+:\d+: .*? failed: ", "", one_line(error)).rstrip(".")


def _require_converted_alike(
    source: onnx.ModelProto, model: onnx.ModelProto, model_inputs: ModelInputs, opset: int
) -> None:
    try:
        require_same_values(source, model, model_inputs)
    except ORT_ERRORS as error:
        raise ExportError(f"It does not run once it is converted from opset {opset}: {one_line(error)}.") from error


def name_as_before_(graph: onnx.GraphProto, source: onnx.GraphProto) -> None:
    """Gives, in place, each Resize that was an Upsample the name of its value back, which the converter loses."""
    before = [node for node in source.node if node.op_type in ("Upsample", "Resize")]
    after = [node for node in graph.node if node.op_type == "Resize"]
    if len(before) != len(after):
        return
    names = {new.output[0]: old.output[0] for old, new in zip(before, after, strict=True)}
    for old, new in zip(before, after, strict=True):
        new.name = old.name
    rename_values_(graph, lambda name: names.get(name, name))


def write_out_meanings_(graph: onnx.GraphProto, opset: int, outer: _Values | None = None) -> None:
    """Writes out, in place, what operators meant before a conversion to opset 13 or later.

    Args:
        graph: converted.
        opset: opset before the conversion, below 13.
        outer: constants of the graphs around it.
    """
    constants = {**(outer or {}), **short_constants(graph)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for inner in inner_graphs(node):
            write_out_meanings_(inner, opset, constants)
        if node.op_type == "Resize" and opset < COORDINATES_OPSET:
            nodes += _resizing(node, constants.get(node.input[2]))
        elif node.op_type == "Hardmax":
            nodes += _flattening(node)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def require_same_values(before: onnx.ModelProto, after: onnx.ModelProto, model_inputs: _Values) -> None:
    """Checks that ONNX Runtime answers rows by a converted graph as by the one before.

    Args:
        before: as it was given.
        after: converted; its values have the names that they had.
        model_inputs: the graph's inputs.

    Raises:
        ExportError: an output differs; the message names the first operator in the graph whose value does.
    """
    outputs = [one.name for one in before.graph.output]
    if not _first_that_differs(before, after, model_inputs, outputs):
        return
    makers = {name: node for node in before.graph.node for name in node.output if name}
    kept = {name for node in after.graph.node for name in node.output}
    name, change = _first_that_differs(before, after, model_inputs, [name for name in makers if name in kept]) or (
        outputs[0],
        0,
    )
    node, opset = makers[name], max(one.version for one in before.opset_import if one.domain in ("", "ai.onnx"))
    raise ExportError(
        f"{node.op_type} of opset {opset} (node {node.name or name}) would give other numbers once it is converted, by "
        f"up to {change:.3g}. Export the file again with a newer opset."
    )


def _first_that_differs(
    before: onnx.ModelProto, after: onnx.ModelProto, model_inputs: _Values, names: list[str]
) -> tuple[str, float] | None:
    """Returns the first of some values that differs by more than is allowed, and by how much."""
    found, expected = computed_values(after, model_inputs, names), computed_values(before, model_inputs, names)
    for name in names:
        change = _change(expected[name], found[name])
        if not change <= _LARGEST_CHANGE:
            return name, change
    return None


def _change(expected: object, found: object) -> float:
    """Returns the largest difference of two values, as a fraction of the largest number where that is above 1."""
    one, other = (
        np.asarray([list(row.values()) for row in value]) if _is_zipped(value) else np.asarray(value)
        for value in (expected, found)
    )
    if one.shape != other.shape:
        return float("inf")
    if not one.size or one.dtype.kind not in "biuf":
        return 0.0 if (one == other).all() else float("inf")
    one, other = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))  # infinities, and what is no number in both
    with np.errstate(invalid="ignore"):
        return float(
            np.where(same, 0, np.abs(one - other)).max() / max(1.0, np.abs(one[np.isfinite(one)]).max(initial=0))
        )


def _is_zipped(value: object) -> TypeGuard[list[Mapping[object, float]]]:
    """Returns whether a value is what a ZipMap gives: a list of label → probability."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _resizing(node: onnx.NodeProto, scales: NDArray[Any] | None) -> Iterator[onnx.NodeProto]:
    """Yields what Resize of opset 10, and Upsample, computed, by Resize of today.

    Coordinates were x / scale. The nearest pixel was the one before along an axis that grows, the one after along one
    that shrinks; where both happen there are two nodes.

    Args:
        node: converted: an input, a region that nothing reads, scales.
        scales: one an axis; None where they are computed, and taken to grow.
    """
    mode = next((one.s for one in node.attribute if one.name == "mode"), b"nearest")
    grown, shrunk = (np.maximum(scales, 1), np.minimum(scales, 1)) if scales is not None else (None, None)
    steps = {"floor": grown, "ceil": shrunk}
    steps = {nearest: factors for nearest, factors in steps.items() if factors is not None and (factors != 1).any()}
    if len(steps) < 2 or mode != b"nearest":
        yield _mapped(node, next(iter(steps), "floor"))
        return
    value = node.input[0]
    for nearest, factors in steps.items():
        step = _mapped(node, nearest)
        step.name = f"{node.name or node.output[0]}/{nearest}"
        step.input[0], step.input[2] = value, f"{node.output[0]}/{nearest}/scales"
        yield helper.make_node("Constant", [], [step.input[2]], value=numpy_helper.from_array(np.asarray(factors)))
        value = step.output[0] = node.output[0] if nearest == "ceil" else f"{node.output[0]}/{nearest}"
        yield step


def _mapped(node: onnx.NodeProto, nearest: str) -> onnx.NodeProto:
    """Returns a copy of a Resize that declares how coordinates are mapped."""
    found = onnx.NodeProto()
    found.CopyFrom(node)
    found.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    found.attribute.append(helper.make_attribute("nearest_mode", nearest))
    return found


def _flattening(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Yields what Hardmax of opset 12 computed: the largest over all axes from `axis` on, by default from 1."""
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    (value,), (output,) = node.input, node.output
    yield helper.make_node("Shape", [value], [f"{output}/shape"])
    yield helper.make_node("Flatten", [value], [f"{output}/flat"], axis=axis)
    yield helper.make_node("Hardmax", [f"{output}/flat"], [f"{output}/largest"], name=node.name, axis=-1)
    yield helper.make_node("Reshape", [f"{output}/largest", f"{output}/shape"], [output])
