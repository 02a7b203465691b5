"""What passes need to know of a graph."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from maas.errors import ExportError
from maas.onnx_graphs.files import strip_file
from maas.onnx_graphs.quantizing import prepared_graph, weighted_nodes
from maas.onnx_graphs.running import open_session


def shapes_of(model: onnx.ModelProto, name: str) -> list[list[int]]:
    """Returns the sorted shapes of the tensors of two axes that a node is fed with."""
    shapes = {tensor.name: sorted(tensor.dims) for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if node.name == name)
    return [shapes[one] for one in node.input if len(shapes.get(one, [])) == 2]


def test_head_alone_is_left_out_when_it_is_kept(line):
    model = prepared_graph(line.bundle.model_path)
    every, kept = (weighted_nodes(model, keep_head=keep) for keep in (False, True))
    assert [shapes_of(model, name) for name in every] == [[[64, 256]], [[10, 256]]]
    assert [shapes_of(model, name) for name in kept] == [[[64, 256]]]


def test_embedding_convolution_and_layers_are_found_when_a_text_net_was_exported(token_model):
    model = prepared_graph(token_model)
    kinds = {node.name: node.op_type for node in model.graph.node}
    every, kept = (weighted_nodes(model, keep_head=keep) for keep in (False, True))
    assert sorted(kinds[name] for name in every) == ["Conv", "Gather", "Gemm", "Gemm"]
    assert sorted(kinds[name] for name in kept) == ["Conv", "Gather", "Gemm"]


def test_every_node_has_a_name_of_its_own_when_a_graph_is_loaded(token_model):
    names = [node.name for node in prepared_graph(token_model).graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_the_head_is_that_of_the_evaluated_output_when_there_are_several():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "hidden", "logits")]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["hidden"], name="body"),
        helper.make_node("MatMul", ["hidden", "b"], ["logits"], name="head"),
    ]
    weights = [onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), name) for name in "ab"]
    model = helper.make_model(helper.make_graph(nodes, "main", ends[:1], ends[1:], weights))
    assert weighted_nodes(model, keep_head=True, output="logits") == ["body"]
    assert weighted_nodes(model, keep_head=True) == ["head"]


def test_each_tensor_is_looked_at_once_when_the_head_is_looked_for():
    depth = 200  # by paths there would be 2 ** 200
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x0", f"x{depth}")]
    nodes = [helper.make_node("Add", [f"x{one}", f"x{one}"], [f"x{one + 1}"], name=f"add{one}") for one in range(depth)]
    nodes.append(helper.make_node("MatMul", ["x0", "a"], ["aside"], name="aside"))
    weights = [onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "a")]
    model = helper.make_model(helper.make_graph(nodes, "main", ends[:1], ends[1:], weights))
    assert weighted_nodes(model, keep_head=True) == ["aside"]


def test_a_constant_keeps_its_shape_when_only_an_inner_graph_reads_it(tmp_path):
    features, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("features", "out"))
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    branches = [
        helper.make_graph(
            [helper.make_node("Concat", [*names, "row"], [name], axis=0)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, names in {"yes": ["product"], "no": ["product", "product"]}.items()
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "a"], ["product"]),
        helper.make_node("If", ["flag"], ["out"], then_branch=branches[0], else_branch=branches[1]),
    ]
    weights = {"a": np.eye(4), "row": np.ones((1, 4))}
    tensors = [onnx.numpy_helper.from_array(one.astype(np.float32), name) for name, one in weights.items()]
    graph = helper.make_graph(nodes, "main", [features, flag], [out], tensors)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    model_inputs = {"features": np.zeros((2, 4), np.float32), "flag": np.array(False)}
    assert open_session(prepared_graph(path)).run(None, model_inputs)[0].shape == (5, 4)


def test_refusal_gives_the_reason_when_no_node_has_weights():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "main", ends[:1], ends[1:])
    with pytest.raises(ExportError, match=r"^The graph has no Conv, MatMul, Gemm, Gather with weights beside its head"):
        weighted_nodes(helper.make_model(graph), keep_head=True)


def test_graph_is_the_same_when_it_is_saved_again(line, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line.bundle.model_path.read_bytes())
    strip_file(path)
    assert path.read_bytes() == line.bundle.model_path.read_bytes()
    assert not prepared_graph(path).graph.value_info
