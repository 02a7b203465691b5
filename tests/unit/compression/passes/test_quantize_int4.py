"""Weights of four bits: which become so, what they cost, and what is refused."""

import logging
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from maas.compression.passes import Calibration
from maas.compression.passes.quantize_int4 import QuantizeInt4
from maas.errors import ExportError

NOTHING = Calibration(lambda _: iter(()), 0)


def kinds_of(path) -> dict[str, int]:
    """Returns how often each of the operators that hold weights occurs."""
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    return {
        kind: kinds.count(kind) for kind in ("MatMulNBits", "GatherBlockQuantized", "MatMul", "Gemm") if kind in kinds
    }


@pytest.mark.parametrize(
    ("settings", "kinds"), [({}, {"MatMulNBits": 1, "MatMul": 1}), ({"keep_head": False}, {"MatMulNBits": 2})]
)
def test_products_but_the_head_have_four_bits_when_it_is_kept(settings, kinds, line, tmp_path):
    QuantizeInt4(**settings).apply(line.bundle.model_path, tmp_path / "out.onnx", NOTHING)
    assert kinds_of(tmp_path / "out.onnx") == kinds


def test_settings_arrive_when_a_product_is_written(line, tmp_path):
    QuantizeInt4(block_size=16, accuracy_level=1).apply(line.bundle.model_path, tmp_path / "out.onnx", NOTHING)
    node = next(node for node in onnx.load(tmp_path / "out.onnx").graph.node if node.op_type == "MatMulNBits")
    found = {one.name: one.i for one in node.attribute}
    assert found == {"K": 64, "N": 256, "bits": 4, "block_size": 16, "accuracy_level": 1}


def test_embeddings_have_four_bits_only_when_it_is_wanted(token_model, tmp_path):
    sizes = []
    for embeddings in (True, False):
        out = tmp_path / f"{embeddings}.onnx"
        QuantizeInt4(embeddings=embeddings).apply(token_model, out, NOTHING)
        assert ("GatherBlockQuantized" in kinds_of(out)) == embeddings
        sizes.append(out.stat().st_size)
    assert sizes[0] < sizes[1]


def test_bytes_are_equal_when_the_pass_is_applied_twice(token_model, tmp_path):
    for index in range(2):
        QuantizeInt4().apply(token_model, tmp_path / f"{index}.onnx", NOTHING)
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


def test_refusal_gives_the_reason_when_only_convolutions_hold_weights(tmp_path):
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 1, 8, 8]) for end in ("x", "out")]
    weights = [onnx.numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), name) for name in "ab"]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["hidden"], name="one"),
        helper.make_node("Conv", ["hidden", "b"], ["out"], name="two"),
    ]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "in.onnx")
    with pytest.raises(ExportError, match=r"^The graph has no MatMul or Gather with weights beside its head"):
        QuantizeInt4().apply(tmp_path / "in.onnx", tmp_path / "out.onnx", NOTHING)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(("opset", "expected"), [(20, 21), (21, 21), (23, 23)])
def test_opset_is_raised_and_never_lowered_when_embeddings_take_four_bits(opset, expected, tmp_path):
    ends = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 2]),
    ]
    random = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=size).astype(np.float32), name)
        for name, size in (("table", (64, 32)), ("a", (32, 32)), ("b", (32, 2)))
    ]
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="look"),
        helper.make_node("MatMul", ["rows", "a"], ["hidden"], name="body"),
        helper.make_node("MatMul", ["hidden", "b"], ["out"], name="head"),
    ]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, tmp_path / "in.onnx")
    QuantizeInt4().apply(tmp_path / "in.onnx", tmp_path / "out.onnx", NOTHING)
    opsets = {one.domain: one.version for one in onnx.load(tmp_path / "out.onnx").opset_import}
    assert opsets[""] == expected


@pytest.mark.slow
def test_logging_is_left_as_it_is_when_the_module_is_imported():
    code = "import logging, maas.compression.passes.quantize_int4; print(logging.root.handlers, logging.root.level)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", str(logging.WARNING)]
