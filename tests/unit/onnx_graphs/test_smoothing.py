"""Smoothing changes no answer, and evens out what int8 would be coarse for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from maas.compression.passes.quantize_mixed import Gauge
from maas.onnx_graphs.quantizing import weighted_nodes
from maas.onnx_graphs.running import activations
from maas.onnx_graphs.smoothing import smoothed
from maas.onnx_graphs.static_quantizer import StaticQuantizer

RNG = np.random.default_rng(0)
SIZES = np.array([100, 1, 1, 1, 1, 1, 1, 0], dtype=np.float32)
ROWS = (RNG.normal(size=(256, 8)) * SIZES).astype(np.float32)
MODEL_INPUTS = [{"x": ROWS[:128]}, {"x": ROWS[128:]}]


def net(first: str = "Identity") -> onnx.ModelProto:
    """Two products of an input with a large first channel and a last of zeros; a head of their sum, uneven, too."""
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 8]) for end in ("x", "out")]
    nodes = [
        helper.make_node(first, ["x"], ["h"], name="first"),
        helper.make_node("MatMul", ["h", "a"], ["p"], name="one"),
        helper.make_node("MatMul", ["h", "b"], ["q"], name="two"),
        helper.make_node("Add", ["p", "q"], ["sum"], name="add"),
        helper.make_node("MatMul", ["sum", "c"], ["out"], name="head"),
    ]
    weights = {name: RNG.normal(size=(8, 8)).astype(np.float32) for name in "abc"}
    weights["a"][0] = weights["b"][0] = 0.001
    weights["a"][:, 0] *= 100
    tensors = [onnx.numpy_helper.from_array(one, name) for name, one in weights.items()]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def answers(model: onnx.ModelProto):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": ROWS})[0]


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_answers_stay_when_a_graph_is_smoothed(strength):
    plain = net()
    made = smoothed(plain, ["one", "two", "head"], MODEL_INPUTS, strength)
    onnx.checker.check_model(made, full_check=True)
    np.testing.assert_allclose(answers(made), answers(plain), atol=1e-5 * np.abs(answers(plain)).max())
    assert [node.op_type for node in made.graph.node].count("Mul") == 2, "the first two share an input"


def test_channels_are_equally_large_when_the_strength_is_1():
    made = smoothed(net(), ["one", "two"], MODEL_INPUTS, 1.0)
    largest = np.max([np.abs(values).max(0) for _, values in activations(made, ["h_smooth"], MODEL_INPUTS)], axis=0)
    np.testing.assert_allclose(largest[:-1], 1.0, rtol=1e-5)
    assert largest[-1] == 0


def test_int8_loses_less_when_a_channel_that_matters_little_was_large():
    plain = net()
    gauge = Gauge.of(plain, MODEL_INPUTS)
    nodes = weighted_nodes(plain, keep_head=True)
    errors = {}
    for smoothing in (None, 0.85):
        quantizer = StaticQuantizer.measured(
            plain, nodes, MODEL_INPUTS, method="minmax", coverage=1.0, smoothing=smoothing, per_channel=True
        )
        errors[smoothing] = gauge.error(quantizer.quantized(nodes))
    assert errors[0.85] < 0.2 * errors[None]


def test_input_is_left_alone_when_a_clip_fixed_its_range():
    clipped = net("Clip")
    assert smoothed(clipped, ["one", "two"], MODEL_INPUTS, 0.85) == clipped


def test_input_is_left_alone_when_its_channels_are_alike():
    plain = net()
    assert smoothed(plain, ["one", "two"], [{"x": ROWS[:, 1:2] * np.ones(8, np.float32)}], 0.85) == plain
