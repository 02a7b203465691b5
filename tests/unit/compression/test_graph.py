"""What passes need to know of a graph."""

import onnx
import pytest
from onnx import TensorProto, helper

from maas.compression.graph import load_graph, save_graph, weighted_nodes
from maas.errors import ExportError


def shapes_of(model: onnx.ModelProto, name: str) -> list[list[int]]:
    """Returns the sorted shapes of the tensors of two axes that a node is fed with."""
    shapes = {tensor.name: sorted(tensor.dims) for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if node.name == name)
    return [shapes[one] for one in node.input if len(shapes.get(one, [])) == 2]


def test_head_alone_is_left_out_when_it_is_kept(line):
    model = load_graph(line.bundle.model_path)
    every, kept = (weighted_nodes(model, keep_head=keep) for keep in (False, True))
    assert [shapes_of(model, name) for name in every] == [[[64, 256]], [[10, 256]]]
    assert [shapes_of(model, name) for name in kept] == [[[64, 256]]]


def test_embedding_convolution_and_layers_are_found_when_a_text_net_was_exported(token_model):
    model = load_graph(token_model)
    kinds = {node.name: node.op_type for node in model.graph.node}
    every, kept = (weighted_nodes(model, keep_head=keep) for keep in (False, True))
    assert sorted(kinds[name] for name in every) == ["Conv", "Gather", "Gemm", "Gemm"]
    assert sorted(kinds[name] for name in kept) == ["Conv", "Gather", "Gemm"]


def test_every_node_has_a_name_of_its_own_when_a_graph_is_loaded(token_model):
    names = [node.name for node in load_graph(token_model).graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_refusal_says_why_when_no_node_has_weights():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "main", ends[:1], ends[1:])
    with pytest.raises(ExportError, match=r"^The graph has no Conv, MatMul, Gemm, Gather with weights beside its head"):
        weighted_nodes(helper.make_model(graph), keep_head=True)


def test_graph_is_the_same_when_it_is_saved_again(line, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line.bundle.model_path.read_bytes())
    save_graph(path)
    assert path.read_bytes() == line.bundle.model_path.read_bytes()
    assert not load_graph(path).graph.value_info
