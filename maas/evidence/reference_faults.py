"""What onnx's reference evaluator is known to compute wrong: there, its outputs mean nothing about a graph.

The list is short and each entry is proven: a test of its own computes the right value without onnx, finds that ONNX
Runtime agrees with it and the reference does not, and fails once the reference is mended; the entry then goes.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import onnx

from maas.onnx_graphs.reading import inner_graphs

SEQUENCE_LENS = 4
"""Which of the inputs of a recurrent operator it is."""


DEFAULT_ACTIVATIONS = {"GRU": {"sigmoid", "tanh"}, "LSTM": {"sigmoid", "tanh"}, "RNN": {"tanh", "affine"}}
"""Those that the reference computes; of others, it ignores the names or refuses them."""


class Fault(NamedTuple):
    """An operator of ONNX's own domain that the reference computes wrong.

    Args:
        operators: that have the fault.
        is_met: whether a node runs into the fault, from the node and the opset of its graph.
        what: the reference does instead.
    """

    operators: tuple[str, ...]
    is_met: Callable[[onnx.NodeProto, int], bool]
    what: str


FAULTS = (
    Fault(
        ("GRU", "LSTM", "RNN"),
        lambda node, _: len(node.input) > SEQUENCE_LENS and bool(node.input[SEQUENCE_LENS]),
        "ignores sequence_lens",
    ),
    Fault(
        ("GRU", "LSTM", "RNN"),
        lambda node, _: _activations(node) - DEFAULT_ACTIVATIONS[node.op_type] != set(),
        "computes its default activations in place of those that it names",
    ),
    Fault(
        ("Softmax", "LogSoftmax", "Hardmax"),
        lambda _, opset: opset < 13,
        "does not flatten its input, as opsets below 13 do",
    ),
)
"""Seen with onnx 1.23.2."""


def reference_faults(path: Path) -> tuple[str, ...]:
    """Returns the nodes of an ONNX file that the reference evaluator gets wrong, each with how."""
    model = onnx.load(path, load_external_data=False)
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    nodes = [*_nodes(model.graph.node), *(node for one in model.functions for node in _nodes(one.node))]
    return tuple(
        f"{node.name or node.output[0]} ({node.op_type}): onnx's reference {fault.what}"
        for node in nodes
        for fault in FAULTS
        if node.domain in ("", "ai.onnx") and node.op_type in fault.operators and fault.is_met(node, opset)
    )


def _activations(node: onnx.NodeProto) -> set[str]:
    return {name.decode().lower() for one in node.attribute if one.name == "activations" for name in one.strings}


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yields nodes and those of the graphs inside them."""
    for node in nodes:
        yield node
        for graph in inner_graphs(node):
            yield from _nodes(graph.node)
