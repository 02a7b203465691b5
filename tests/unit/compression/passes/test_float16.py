"""Half precision: all weights, but neither inputs nor outputs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from maas.compression.passes import Calibration
from maas.compression.passes.float16 import Float16
from maas.compression.passes.quantize_mixed import Gauge

NOTHING = Calibration(lambda _: iter(()), 0)


@pytest.fixture
def converted(token_model, tmp_path):
    Float16().apply(token_model, tmp_path / "out.onnx", NOTHING)
    return onnx.load(tmp_path / "out.onnx")


def test_weights_are_fp16_and_ends_as_before_when_a_graph_is_converted(converted, token_model):
    plain = onnx.load(token_model).graph
    floats = {TensorProto.FLOAT, TensorProto.FLOAT16}
    assert {one.data_type for one in converted.graph.initializer} & floats == {TensorProto.FLOAT16}
    assert list(converted.graph.input) == list(plain.input)
    assert [one.type for one in converted.graph.output] == [one.type for one in plain.output]
    onnx.checker.check_model(converted, full_check=True)


def test_answers_differ_by_rounding_alone_when_a_graph_is_converted(converted, token_model, text_processor):
    model_inputs = [text_processor.batch(text_processor.preprocess(["good film", "bad film 很好"]))]
    assert 0 < Gauge.of(onnx.load(token_model), model_inputs).error(converted) < 1e-2


def test_bytes_are_equal_when_the_pass_is_applied_twice(converted, token_model, tmp_path):
    Float16().apply(token_model, tmp_path / "again.onnx", NOTHING)
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()


def test_numbers_beyond_its_range_become_the_largest_when_a_graph_is_converted(tmp_path):
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 1]) for end in ("x", "out")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "mask"], ["out"], name="add")],
        "main",
        ends[:1],
        ends[1:],
        [onnx.numpy_helper.from_array(np.float32([np.finfo(np.float32).min]), "mask")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "in.onnx")
    Float16().apply(tmp_path / "in.onnx", tmp_path / "out.onnx", NOTHING)
    assert onnx.numpy_helper.to_array(onnx.load(tmp_path / "out.onnx").graph.initializer[0]) == [-65504.0]
