"""What a graph does not need: traces of its exporter, nodes that lead to no output, repeated weights; other names."""

from collections.abc import Callable, Set

import onnx

from maas.onnx_graphs.reading import captured_names, inner_graphs


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


def rename_values_(graph: onnx.GraphProto, named: Callable[[str], str]) -> None:
    """Renames every value of a graph and of the graphs inside it, in place."""
    for node in graph.node:
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
        for inner in inner_graphs(node):
            rename_values_(inner, named)
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = named(value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = named(sparse.values.name)


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leaves out, in place, nodes that lead to no output and weights that repeat others: all read the first of them."""
    graph = model.graph
    nodes = nodes_leading_to(graph, {output.name for output in graph.output})
    del graph.node[:]
    graph.node.extend(nodes)
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    kept = {output.name for output in graph.output} | {name for node in graph.node for name in captured_names(node)}
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


def nodes_leading_to(graph: onnx.GraphProto, results: Set[str]) -> list[onnx.NodeProto]:
    """Returns the nodes that values depend on, in their order."""
    wanted, kept = set(results), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input) | set(captured_names(node))
    return kept[::-1]
