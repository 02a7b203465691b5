"""What passes need to know of a graph."""

import onnx
import pytest
from onnx import TensorProto, helper

from maas.compression.graph import head_of, load_graph, save_graph
from maas.errors import ExportError


def test_head_is_the_node_that_makes_the_logits_when_the_net_was_exported(line):
    model = onnx.load(line.bundle.model_path)
    head = next(node for node in model.graph.node if node.name == head_of(model))
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert head.op_type in ("Gemm", "MatMul")
    assert sorted(size for name in head.input for size in shapes.get(name, []) if len(shapes[name]) == 2) == [10, 256]


def test_refusal_says_why_when_no_node_has_weights():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "main", ends[:1], ends[1:])
    with pytest.raises(ExportError, match="^The graph has no Conv, MatMul or Gemm before its output; there is nothing to"):
        head_of(helper.make_model(graph))


def test_graph_is_the_same_when_it_is_saved_again(line, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line.bundle.model_path.read_bytes())
    save_graph(path)
    assert path.read_bytes() == line.bundle.model_path.read_bytes()
    assert not load_graph(path).graph.value_info
