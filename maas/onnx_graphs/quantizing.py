"""Which nodes of a graph can be quantised, and a graph prepared for it."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx.numpy_helper import to_array
from onnxruntime.quantization.shape_inference import quant_pre_process

from maas.errors import ConfigError, ExportError, one_line
from maas.onnx_graphs.opsets import OLDEST_OPSET, modern
from maas.onnx_graphs.reading import groups_of, numeric_output, producers_of, readers_of

WEIGHTED_OPERATORS = ("Conv", "MatMul", "Gemm", "Gather")

FEW_CHANNELS = 4

QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "ConvInteger",
    "MatMulNBits",
)

CARRIED = ("Relu", "Transpose")
"""Operators that pass int8 on; between two quantised operators they would otherwise cost a way to fp32 and back."""

AVERAGING = ("ReduceMean", "GlobalAveragePool")


def require_fp32(model: onnx.ModelProto, name: str) -> None:
    """Raises ConfigError where a model is quantised already.

    Args:
        model: model of an ONNX file.
        name: name for messages.
    """
    found = next((node.op_type for node in model.graph.node if node.op_type in QUANTISED), None)
    if found:
        raise ConfigError(f"{name} is quantised already, by {found}. Name the model that it was made from.")


@contextmanager
def quantizer_errors(failed: str) -> Iterator[None]:
    """Makes an ExportError of whatever onnxruntime's quantisers and converters raise.

    Args:
        failed: action that fails, for the message.

    Raises:
        ExportError: they cannot.
    """
    try:
        yield
    except Exception as error:  # KeyError, AssertionError, TypeError of their handlers: they refuse no graph on purpose
        raise ExportError(f"onnxruntime {failed}: {one_line(error)}.") from error


def prepared_graph(path: Path) -> onnx.ModelProto:
    """Loads an ONNX file as quantisers like it: of a recent opset, constants folded, every node named.

    Raises:
        ExportError: onnxruntime cannot prepare it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        recent, prepared = Path(scratch) / "recent.onnx", Path(scratch) / "prepared.onnx"
        onnx.save(modern(onnx.load(path), OLDEST_OPSET), recent)
        with quantizer_errors(f"cannot prepare {path.name} for quantisation"):
            quant_pre_process(str(recent), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(prepared)
    _flatten_biases_(model.graph)
    del model.graph.value_info[:]
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def _flatten_biases_(graph: onnx.GraphProto) -> None:
    """Makes biases of shape (1, K) that Gemms alone read (K,): onnxruntime's quantiser fails at others.

    skl2onnx writes them, for an Add after a MatMul, which onnxruntime's optimiser joins to a Gemm.
    """
    for weight in graph.initializer:
        readers = readers_of(graph, weight.name)
        is_bias = all(node.op_type == "Gemm" and list(node.input).index(weight.name) == 2 for node in readers)
        if readers and is_bias and len(weight.dims) == 2 and weight.dims[0] == 1:
            weight.dims[:] = weight.dims[1:]


def weight_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Returns how many weights in fp32 each node holds, by its name; nodes without weights are left out."""
    sizes = {
        one.name: int(np.prod(one.dims)) for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT
    }
    found = {
        str(node.name): sum(sizes.get(name, 0) for name in node.input[:2])
        for node in model.graph.node
        if node.op_type in WEIGHTED_OPERATORS
    }
    return {name: count for name, count in found.items() if count}


def weighted_nodes(model: onnx.ModelProto, *, keep_head: bool, output: str | None = None) -> list[str]:
    """Returns the names of the nodes that hold weights in fp32.

    Args:
        model: model with named nodes.
        keep_head: leave out the last one before the output, which makes the logits.
        output: name of the output of the head; None for the first numeric one.

    Raises:
        ExportError: there is none; the model cannot be quantised.
    """
    counts = weight_counts(model)
    nodes = [node for node in model.graph.node if node.name in counts]
    weighted = {node.name for node in nodes if node.op_type != "Gather"}
    head = _head(model, weighted, output or numeric_output(model)) if keep_head else None
    names = [str(node.name) for node in nodes if node.name != head]
    if not names:
        raise ExportError(
            f"The graph has no {', '.join(WEIGHTED_OPERATORS)} with weights beside its head; nothing to quantise."
        )
    return names


def stem_nodes(model: onnx.ModelProto) -> list[str]:
    """Returns the names of convolutions over few channels, e.g. those of a picture: int8 gains little there."""
    shapes = {one.name: one.dims for one in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in shapes]
    return [str(node.name) for node in convolutions if shapes[node.input[1]][1] * groups_of(node) <= FEW_CHANNELS]


def carried_nodes(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the nodes that pass int8 on."""
    return [str(node.name) for node in model.graph.node if node.op_type in CARRIED]


def averages_of_sums(model: onnx.ModelProto, nodes: Sequence[str]) -> list[str]:
    """Returns the names of the nodes that average a sum of what convolutions make or take, as after a residual stack.

    The mean goes over the picture, and nothing else reads the sum. Over so many values rounding cancels out, and a sum
    in fp32 would take both summands from int8 to fp32.

    Args:
        model: model with named nodes.
        nodes: the names of those that are quantised.
    """
    producers, convolutions = producers_of(model.graph), [one for one in model.graph.node if one.op_type == "Conv"]
    rounded = {name for one in convolutions if one.name in nodes for name in (one.input[0], one.output[0])}
    results = {one.name for one in model.graph.output}

    def maker_for_one(name: str) -> onnx.NodeProto | None:
        return producers.get(name) if len(readers_of(model.graph, name)) == 1 and name not in results else None

    def is_of_sum(node: onnx.NodeProto) -> bool:
        found = maker_for_one(node.input[0])
        if found is not None and found.op_type == "Relu":
            found = maker_for_one(found.input[0])
        return found is not None and found.op_type == "Add" and rounded.issuperset(found.input)

    averages = [node for node in model.graph.node if node.op_type in AVERAGING and _is_over_pictures(model, node)]
    return [str(node.name) for node in averages if is_of_sum(node)]


def _is_over_pictures(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    """Returns whether a mean of (N, C, H, W) goes over height or width, or both, and nothing else."""
    if node.op_type == "GlobalAveragePool":
        return True
    axes = [list(one.ints) for one in node.attribute if one.name == "axes"]
    axes += [to_array(one).tolist() for one in model.graph.initializer if one.name in node.input[1:]]
    return bool(axes and axes[0]) and {2, 3, -1, -2}.issuperset(axes[0])


def _head(model: onnx.ModelProto, weighted: set[str], output: str) -> str | None:
    """Returns the weighted node that is met first on the way back from an output."""
    producers = producers_of(model.graph)
    waiting = [output] if weighted else []
    for name in waiting:
        node = producers.get(name)
        if node is not None and node.name in weighted:
            return str(node.name)
        waiting += [one for one in node.input if one not in waiting] if node is not None else []
    return None
