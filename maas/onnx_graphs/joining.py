"""The graphs that read and write, as one graph and apart again: passes over a graph then see all weights of a model.

What the one that reads gives, the other takes by the same name, so that one run of both reads and writes a first token.
"""

from collections.abc import Sequence

import onnx
from onnx import helper
from onnx.utils import Extractor

from maas.runtime.translation.graphs import MEMORY

READING_PREFIX = "reading/"
"""What precedes names inside the part that reads."""


def joined_graphs(encode: onnx.ModelProto, decode: onnx.ModelProto) -> onnx.ModelProto:
    """Returns both graphs as one, with the outputs of both.

    Args:
        encode: graph that reads; its outputs begin with `memory.`.
        decode: graph that writes, of the same opset.
    """
    first = onnx.ModelProto()
    first.CopyFrom(encode)
    kept = {one.name for one in (*first.graph.input, *first.graph.output)}
    for node in first.graph.node:
        node.name = READING_PREFIX + node.name
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = name if not name or name in kept else READING_PREFIX + name
    for weight in first.graph.initializer:
        weight.name = READING_PREFIX + weight.name
    memory = {one.name for one in first.graph.output}
    graph = helper.make_graph(
        [*first.graph.node, *decode.graph.node],
        "joined",
        [*first.graph.input, *(one for one in decode.graph.input if one.name not in memory)],
        [*first.graph.output, *decode.graph.output],
        [*first.graph.initializer, *decode.graph.initializer],
    )
    return helper.make_model(graph, opset_imports=list(decode.opset_import), ir_version=decode.ir_version)


def parted_graphs(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Returns the graph that reads and the one that writes of what `joined_graphs` made, or a pass made of that."""
    memory = [one.name for one in model.graph.output if one.name.startswith(MEMORY)]
    written = [one.name for one in model.graph.output if one.name not in memory]
    taken = set(_taken_by(model, memory, ()))
    read = [one.name for one in model.graph.input if one.name in taken]
    others = [one.name for one in model.graph.input if one.name not in taken]
    extractor = Extractor(model)
    return extractor.extract_model(read, memory), extractor.extract_model([*others, *memory], written)


def _taken_by(model: onnx.ModelProto, outputs: Sequence[str], stops: Sequence[str]) -> set[str]:
    """Returns all names that some outputs are computed from."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found, waiting = set(stops), list(outputs)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in makers:
            waiting.extend(makers[name].input)
    return found
