"""Scales before convolutions, as of pixels that are normalised: each operator costs a small net time."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.numpy_helper import from_array, to_array

from maas.onnx_graphs.reading import groups_of, producers_of, readers_of

_Constants = Mapping[str, onnx.TensorProto]

_AffineMap = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Slope a and offset b of a x + b; they broadcast to (1, C, 1, 1)."""

_ZERO, _ONE = np.zeros(1), np.ones(1)


def fold_scales_(graph: onnx.GraphProto, nodes: Sequence[str]) -> None:
    """Makes conv(a x + b) the same conv'(x + b / a), in place, with a in the weights of conv'.

    Convolutions pad with zeros, which a scale leaves as they are.

    Args:
        graph: graph in fp32, with constants folded.
        nodes: the names of the convolutions.
    """
    constants = {one.name: one for one in graph.initializer}
    for node in [one for one in graph.node if one.name in nodes and one.input[1] in constants]:
        _fold_(graph, node, constants)


def _fold_(graph: onnx.GraphProto, conv: onnx.NodeProto, constants: _Constants) -> None:
    """Folds what scales the input of one convolution into its weights, in place."""
    weight, groups = to_array(constants[conv.input[1]]), groups_of(conv)
    inputs, window = weight.shape[1], (1,) * (weight.ndim - 2)
    slope, offset = np.ones((1, groups * inputs, *window)), np.zeros((1, groups * inputs, *window))
    steps = _steps_before(graph, conv, constants, slope.shape)
    for _, (a, b) in steps:
        slope, offset = a * slope, a * offset + b
    is_shifted = bool(offset.any())
    if len(steps) <= is_shifted:
        return  # no operator would be saved
    scaled = weight.reshape(groups, -1, *weight.shape[1:]) * slope.reshape(groups, 1, inputs, *window)
    graph.initializer.append(from_array(scaled.reshape(weight.shape).astype(weight.dtype), f"{conv.name}_folded"))
    conv.input[1] = f"{conv.name}_folded"
    first = steps[0][0]
    conv.input[0] = next(name for name in first.input if name not in constants)
    if is_shifted:
        name = f"{conv.name}_offset"
        graph.initializer.append(from_array((offset / slope)[0].astype(weight.dtype), name))
        shift = onnx.helper.make_node("Add", [conv.input[0], name], [f"{name}_added"], name=name)
        graph.node.insert(list(graph.node).index(first), shift)
        conv.input[0] = shift.output[0]
    for step, _ in steps:
        graph.node.remove(step)


def _steps_before(
    graph: onnx.GraphProto, conv: onnx.NodeProto, constants: _Constants, shape: tuple[int, ...]
) -> list[tuple[onnx.NodeProto, _AffineMap]]:
    """Returns the nodes that scale or shift a convolution's input and that nothing else needs, the first one first."""
    producers, results = producers_of(graph), {one.name for one in graph.output}
    steps: list[tuple[onnx.NodeProto, _AffineMap]] = []
    name = conv.input[0]
    while name in producers and name not in results and len(readers_of(graph, name)) == 1:
        step = producers[name]
        line = _affine_map(step, constants, shape)
        if line is None:
            break
        steps.insert(0, (step, line))
        name = next(one for one in step.input if one not in constants)
    return steps


def _affine_map(node: onnx.NodeProto, constants: _Constants, shape: tuple[int, ...]) -> _AffineMap | None:
    """Returns what a node computes, if that is a line with one slope and offset, or one of each for each channel."""
    values = [to_array(constants[name]).astype(np.float64) for name in node.input if name in constants]
    if len(values) != 1 or len(node.input) != 2 or values[0].ndim > len(shape):
        return None
    value, is_first = values[0], node.input[0] in constants
    if any(size not in (1, most) for size, most in zip(reversed(value.shape), reversed(shape), strict=False)):
        return None
    match node.op_type:
        case "Add":
            line = _ONE, value
        case "Sub" if not is_first:
            line = _ONE, np.negative(value)
        case "Mul" if value.all():
            line = value, _ZERO
        case "Div" if value.all() and not is_first:
            line = np.reciprocal(value), _ZERO
        case _:
            return None
    return line
