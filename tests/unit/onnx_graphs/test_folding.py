"""Folding changes no answer, and leaves no operator that scales a convolution's input."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from maas.compression.passes import Calibration
from maas.compression.passes.quantize_static import QuantizeStatic
from maas.errors import ExportError
from maas.onnx_graphs.folding import fold_scales_
from maas.runtime.graph import session_options

RNG = np.random.default_rng(0)
PICTURES = RNG.uniform(0, 255, size=(4, 2, 6, 6)).astype(np.float32)
EACH = np.array([0.4, 0.6], dtype=np.float32).reshape(2, 1, 1)
ONE = np.float32(0.25)
NORMALISED = (("Div", np.float32(255)), ("Sub", EACH), ("Div", EACH))


def net(*steps: tuple[str, np.ndarray | np.float32], groups: int = 1, is_turned: bool = False) -> onnx.ModelProto:
    """Steps with a constant each, which comes first if they are turned, and a padded convolution behind them."""
    nodes, tensors, name = [], [], "x"
    for index, (kind, value) in enumerate(steps):
        tensors.append(onnx.numpy_helper.from_array(np.asarray(value, np.float32), f"c{index}"))
        inputs = [f"c{index}", name] if is_turned else [name, f"c{index}"]
        name = f"h{index}"
        nodes.append(helper.make_node(kind, inputs, [name], name=name))
    tensors.append(onnx.numpy_helper.from_array(RNG.normal(size=(8, 2 // groups, 3, 3)).astype(np.float32), "w"))
    nodes.append(helper.make_node("Conv", [name, "w"], ["out"], name="conv", pads=[1, 1, 1, 1], group=groups))
    sizes = (("x", 2), ("out", 8))
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", size, 6, 6]) for end, size in sizes]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    fold_scales_(made.graph, ["conv"])
    return made


def answers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, {"x": PICTURES}), strict=True))


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (NORMALISED, ["Add", "Conv"]),
        ((("Mul", ONE),), ["Conv"]),
        ((("Mul", EACH[None]), ("Add", ONE), ("Mul", ONE), ("Sub", EACH)), ["Add", "Conv"]),
        ((("Add", EACH), ("Sub", EACH), ("Div", ONE)), ["Conv"]),
    ],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_answers_stay_when_scales_go_into_the_weights(steps, left, groups):
    plain = net(*steps, groups=groups)
    made = folded(plain)
    onnx.checker.check_model(made, full_check=True)
    assert kinds(made) == left
    before, after = answers(plain)["out"], answers(made)["out"]
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize(
    "plain",
    [
        net(("Add", EACH)),
        net(("Mul", np.float32(0))),
        net(("Mul", RNG.normal(size=(6, 6)))),
        net(("Pow", np.float32(2))),
        net(("Div", ONE), is_turned=True),
        net(("Sub", ONE), is_turned=True),
    ],
    ids=["nothing to gain", "zero", "of each place", "no line", "one over it", "turned"],
)
def test_nothing_changes_when_what_comes_before_is_no_scale(plain):
    assert kinds(folded(plain)) == kinds(plain)


def test_steps_stay_up_to_the_last_that_others_read_when_scales_are_folded():
    plain = net(*NORMALISED)
    plain.graph.output.append(helper.make_tensor_value_info("h1", TensorProto.FLOAT, ["batch", 2, 6, 6]))
    made = folded(plain)
    assert kinds(made) == ["Div", "Sub", "Conv"]
    for name, values in answers(plain).items():
        np.testing.assert_allclose(answers(made)[name], values, atol=1e-5 * np.abs(values).max())


def test_refusal_names_the_setting_when_nothing_but_the_stem_could_be_quantised(tmp_path):
    onnx.save(net(*NORMALISED), tmp_path / "fp32.onnx")
    model_inputs = Calibration(lambda _: iter([{"x": PICTURES}]), 0)
    with pytest.raises(ExportError, match=r"keep_stem=false"):
        QuantizeStatic(keep_head=False).apply(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", model_inputs)


def test_pixels_are_shifted_and_no_more_when_a_net_of_pictures_becomes_int8(tmp_path):
    plain = net(*NORMALISED)
    plain.graph.initializer.append(onnx.numpy_helper.from_array(RNG.normal(size=(8, 8, 3, 3)).astype(np.float32), "v"))
    plain.graph.node.append(helper.make_node("Conv", ["out", "v"], ["last"], name="deep"))
    plain.graph.output[0].CopyFrom(helper.make_tensor_value_info("last", TensorProto.FLOAT, ["batch", 8, 4, 4]))
    onnx.save(plain, tmp_path / "fp32.onnx")
    model_inputs = Calibration(lambda _: iter([{"x": PICTURES}]), 0)
    QuantizeStatic(keep_head=False).apply(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", model_inputs)
    made = onnx.load(tmp_path / "int8.onnx")
    assert Counter(kinds(made)) == {"Add": 1, "Conv": 2, "QuantizeLinear": 2, "DequantizeLinear": 3}
    assert {one.name for one in made.graph.initializer}.isdisjoint({"c0", "c1", "c2", "w"})
    before, after = answers(plain)["last"], answers(made)["last"]
    np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())
