"""Activations whose channels are evened out, so that few large ones do not coarsen the int8 levels of all others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.onnx_graphs.running import activations
from maas.runtime.codec import ModelInputs

UNEVEN_CHANNELS = 4.0
"""Times the median channel that the largest must be: where channels are alike, smoothing costs time for nothing."""

_CHANNEL_FLOOR = 0.01
"""Fraction of the largest channel that others count for at least; one that calibration hardly saw is not blown up."""


def smoothed(
    graph: onnx.ModelProto, nodes: Sequence[str], model_inputs: Sequence[ModelInputs], strength: float
) -> onnx.ModelProto:
    """Returns a graph that computes the same, x W = (x / s) (s W), with s_j = max|x_j|^a / max|W_j|^(1 - a).

    Inputs whose channels are alike are left as they are, and so are those that a Clip makes: their range was fixed on
    purpose.

    Args:
        graph: graph in fp32.
        nodes: names of those that are to be quantised; of these, the MatMuls with a matrix of weights.
        model_inputs: training rows, batch by batch.
        strength: exponent a in [0, 1]; at 1, all channels of the activations become equally large.

    Source:
        Xiao et al., SmoothQuant, arXiv:2211.10438, eq. 4.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    constants = {one.name: one for one in made.graph.initializer}
    groups = _by_input(made, set(nodes), {name for name, one in constants.items() if len(one.dims) == 2})
    largest: dict[str, NDArray[Any]] = {}
    for name, values in activations(made, list(groups), model_inputs):
        found = np.abs(values).reshape(-1, values.shape[-1]).max(0)
        largest[name] = np.maximum(largest.get(name, 0.0), found)
    for name, channels in largest.items():
        if channels.max() < UNEVEN_CHANNELS * np.median(channels):
            continue
        group = groups[name]
        weights = [onnx.numpy_helper.to_array(constants[node.input[1]]) for node in group]
        heaviest = np.max([np.abs(one).max(1) for one in weights], axis=0)
        factors = (_floored(channels) ** strength / _floored(heaviest) ** (1 - strength)).astype(np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(1 / factors, f"{name}_factors"))
        first = next(index for index, node in enumerate(made.graph.node) if node.name == group[0].name)
        mul = onnx.helper.make_node("Mul", [name, f"{name}_factors"], [f"{name}_smooth"], name=f"{name}_smoothing")
        for node, weight in zip(group, weights, strict=True):
            scaled = onnx.numpy_helper.from_array(factors[:, None] * weight, f"{node.name}_smooth_weight")
            made.graph.initializer.append(scaled)
            node.input[:] = [f"{name}_smooth", scaled.name]
        made.graph.node.insert(first, mul)
    return made


def _by_input(graph: onnx.ModelProto, nodes: set[str], matrices: set[str]) -> dict[str, list[onnx.NodeProto]]:
    """Returns the MatMuls that may be smoothed, by the tensor that they share for input, in the graph's order."""
    clipped = {name for node in graph.graph.node if node.op_type == "Clip" for name in node.output}
    groups: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.graph.node:
        if node.op_type == "MatMul" and node.name in nodes and node.input[1] in matrices - {node.input[0]}:
            groups.setdefault(node.input[0], []).append(node)
    return {name: group for name, group in groups.items() if name not in clipped}


def _floored(sizes: NDArray[Any]) -> NDArray[np.float64]:
    floored: NDArray[np.float64] = np.maximum(sizes, _CHANNEL_FLOOR * sizes.max() or 1.0, dtype=np.float64)
    return floored
