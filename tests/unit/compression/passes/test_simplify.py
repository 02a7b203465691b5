"""A cleaned graph holds nothing twice, answers alike, and is refused where it does not."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from maas.compression.passes import Calibration
from maas.compression.passes.simplify import Simplify
from maas.errors import ExportError

ROWS = np.random.default_rng(0).normal(size=(64, 3, 6, 6)).astype(np.float32)


def calibration() -> Calibration:
    return Calibration(lambda count: iter([{"rows": ROWS[:count]}]), 0)


@pytest.fixture
def wasteful(tmp_path):
    """Convolution and batch norm twice over equal weights, a constant that is computed, and a node without readers."""
    random = np.random.default_rng(1)
    kernel, ones = random.normal(size=(32, 3, 3, 3)).astype(np.float32), np.ones(32, dtype=np.float32)
    weights = {"one": kernel, "two": kernel, "mean": random.normal(size=32).astype(np.float32), "var": 1 + ones}
    weights |= {"scale": 3 * ones, "shift": ones, "half": np.float32(0.5)}
    nodes = [helper.make_node("Add", ["half", "half"], ["whole"]), helper.make_node("Exp", ["rows"], ["unread"])]
    for name in ("one", "two"):
        nodes.append(helper.make_node("Conv", ["rows", name], [f"conv_{name}"], pads=[1, 1, 1, 1]))
        inputs = [f"conv_{name}", "scale", "shift", "mean", "var"]
        nodes.append(helper.make_node("BatchNormalization", inputs, [f"norm_{name}"]))
    nodes.append(helper.make_node("Sub", ["norm_one", "norm_two"], ["nothing"]))
    nodes.append(helper.make_node("Add", ["norm_one", "nothing"], ["sum"]))
    nodes.append(helper.make_node("Mul", ["sum", "whole"], ["result"]))
    graph = helper.make_graph(
        nodes,
        "wasteful",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 3, 6, 6])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", 32, 6, 6])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    path = tmp_path / "wasteful.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_nothing_is_held_or_computed_twice_when_a_wasteful_graph_is_cleaned(wasteful, tmp_path):
    made = [tmp_path / f"{index}.onnx" for index in range(2)]
    for out in made:
        Simplify().apply(wasteful, out, calibration())
    assert made[0].read_bytes() == made[1].read_bytes()
    model = onnx.load(made[0])
    assert sorted(node.op_type for node in model.graph.node) == ["Add", "Conv", "Mul", "Sub"]
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    assert made[0].stat().st_size < 0.6 * wasteful.stat().st_size
    before, after = (
        ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"rows": ROWS})[0]
        for path in (wasteful, made[0])
    )
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())


def test_cleaned_graph_is_refused_when_it_answers_otherwise_than_allowed(wasteful, tmp_path):
    with pytest.raises(ExportError, match="The cleaned graph gives another result; the change may be no more than"):
        Simplify(tolerance=1e-12).apply(wasteful, tmp_path / "out.onnx", calibration())
