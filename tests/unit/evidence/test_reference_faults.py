"""Each fault of onnx's reference evaluator is proven: ONNX Runtime gives the right value, the reference does not.

A test that fails here tells that the reference was mended: its entry in `FAULTS` goes then.
"""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from maas.errors import ParityError
from maas.evidence.reference_faults import reference_faults
from maas.exporting.proof import prove
from maas.exporting.settings import ExportSettings

RANDOM = np.random.default_rng(0)
T, N, D, H = 6, 3, 5, 4
ROWS = RANDOM.normal(size=(T, N, D)).astype(np.float32)
LENGTHS = np.array([2, 6, 4], np.int32)
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def sigma(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def step(kind: str, x: np.ndarray, h: np.ndarray, c: np.ndarray, w: np.ndarray, r: np.ndarray, b: np.ndarray, bend):
    """One step for one row, in float64, as ONNX's specification writes it; returns the next h and c."""
    parts = len(w) // H
    from_x = np.split(w @ x + b[: parts * H], parts)
    back, bias = np.split(r, parts), np.split(b[parts * H :], parts)
    if kind == "RNN":
        return bend(from_x[0] + back[0] @ h + bias[0]), c
    if kind == "GRU":
        update, reset = (sigma(from_x[gate] + back[gate] @ h + bias[gate]) for gate in (0, 1))
        hidden = bend(from_x[2] + back[2] @ (reset * h) + bias[2])
        return (1 - update) * hidden + update * h, c
    i, o, f, g = (from_x[gate] + back[gate] @ h + bias[gate] for gate in range(4))
    c = sigma(f) * c + sigma(i) * bend(g)
    return sigma(o) * bend(c), c


def recurrent(kind: str, *, with_lengths: bool = True, bend=np.tanh) -> tuple[onnx.ModelProto, np.ndarray]:
    """Returns a graph that gives the last h, and the right value: each row's state after its own length."""
    gates = GATES[kind]
    w, r, b = (
        RANDOM.normal(0, 0.5, size).astype(np.float32) for size in ((gates * H, D), (gates * H, H), 2 * gates * H)
    )
    weights = {"w": w[None], "r": r[None], "b": b[None], "lengths": LENGTHS}
    inputs = ["x", "w", "r", "b", "lengths" if with_lengths else ""]
    named = {"GRU": ["Sigmoid", "Relu"], "LSTM": ["Sigmoid", "Relu", "Relu"], "RNN": ["Relu"]}[kind]
    settings = {"activations": named} if bend is relu else {}
    node = helper.make_node(kind, inputs, ["", "y"], name="remember", hidden_size=H, **settings)
    expected = np.zeros((1, N, H))
    for row, length in enumerate(LENGTHS if with_lengths else [T] * N):
        h = c = np.zeros(H)
        for x in ROWS[:length, row].astype(np.float64):
            h, c = step(kind, x, h, c, w.astype(np.float64), r.astype(np.float64), b.astype(np.float64), bend)
        expected[0, row] = h
    return model_of(node, weights, 20), expected


def model_of(node: onnx.NodeProto, weights: dict[str, np.ndarray], opset: int) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    ends[0].type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension() for _ in range(3)])
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph([node], "main", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def both(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": ROWS})[0], ReferenceEvaluator(model).run(["y"], {"x": ROWS})[0]


def faults_of(model: onnx.ModelProto, folder) -> tuple[str, ...]:
    onnx.save(model, folder / "model.onnx")
    return reference_faults(folder / "model.onnx")


@pytest.mark.parametrize("kind", GATES)
def test_reference_is_wrong_and_left_out_when_rows_have_lengths_of_their_own(kind, tmp_path):
    model, expected = recurrent(kind)
    by_runtime, by_reference = both(model)
    np.testing.assert_allclose(by_runtime, expected, atol=1e-6)
    assert np.abs(by_reference - expected).max() > 0.01, "the reference is mended: take its fault off the list"
    assert faults_of(model, tmp_path) == (f"remember ({kind}): onnx's reference ignores sequence_lens",)


@pytest.mark.parametrize("kind", GATES)
def test_reference_is_right_and_asked_when_all_rows_have_one_length(kind, tmp_path):
    model, expected = recurrent(kind, with_lengths=False)
    for found in both(model):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert faults_of(model, tmp_path) == ()


@pytest.mark.parametrize("kind", GATES)
def test_reference_is_wrong_or_refuses_and_is_left_out_when_activations_are_not_the_default(kind, tmp_path):
    model, expected = recurrent(kind, with_lengths=False, bend=relu)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["y"], {"x": ROWS})[0], expected, atol=1e-5)
    if kind == "RNN":
        with pytest.raises(RuntimeError, match="Unknown activation function 'Relu'"):
            ReferenceEvaluator(model).run(["y"], {"x": ROWS})
    else:
        found = ReferenceEvaluator(model).run(["y"], {"x": ROWS})[0]
        assert np.abs(found - expected).max() > 0.01, "the reference is mended: take its fault off the list"
    what = "computes its default activations in place of those that it names"
    assert faults_of(model, tmp_path) == (f"remember ({kind}): onnx's reference {what}",)
    usual = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "RNN": ["Tanh"]}[kind]
    named = next(one for one in model.graph.node[0].attribute if one.name == "activations")
    named.CopyFrom(helper.make_attribute("activations", usual))
    assert faults_of(model, tmp_path) == ()


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
def test_reference_is_wrong_and_left_out_when_probabilities_are_of_opset_11(operator, tmp_path):
    model = model_of(helper.make_node(operator, ["x"], ["y"], name="choose", axis=1), {}, 11)
    flat = ROWS.reshape(T, -1).astype(np.float64)
    soft = np.exp(flat) / np.exp(flat).sum(axis=1, keepdims=True)
    hard = np.eye(flat.shape[1])[flat.argmax(axis=1)]
    expected = {"Softmax": soft, "LogSoftmax": np.log(soft), "Hardmax": hard}[operator].reshape(ROWS.shape)
    by_runtime, by_reference = both(model)
    np.testing.assert_allclose(by_runtime, expected, atol=1e-5)
    assert np.abs(by_reference - expected).max() > 0.01, "the reference is mended: take its fault off the list"
    found = faults_of(model, tmp_path)
    assert found == (f"choose ({operator}): onnx's reference does not flatten its input, as opsets below 13 do",)
    recent = model_of(helper.make_node(operator, ["x"], ["y"], axis=1), {}, 13)
    assert faults_of(recent, tmp_path) == ()


def test_fault_is_found_when_it_lies_in_a_graph_inside(tmp_path):
    inner, _ = recurrent("GRU")
    branch = helper.make_graph(inner.graph.node, "then", [], inner.graph.output)
    other = helper.make_graph([helper.make_node("Identity", ["z"], ["y"])], "else", [], inner.graph.output)
    choice = helper.make_node("If", ["c"], ["out"], then_branch=branch, else_branch=other)
    assert len(faults_of(model_of(choice, {}, 20), tmp_path)) == 1
    own = helper.make_node("GRU", ["x", "w", "r", "b", "lengths"], ["y"], domain="elsewhere", hidden_size=H)
    assert faults_of(model_of(own, {}, 20), tmp_path) == ()


def remembering(line, folder, *, weight: float):
    """The line's own graph, with a GRU whose rows have lengths of their own and whose state counts by a weight."""
    model = onnx.load(line.bundle.model_path)
    graph, logits = model.graph, next(node for node in model.graph.node if node.op_type == "Softmax").input[0]
    width = next(one for one in graph.input).type.tensor_type.shape.dim[1].dim_value
    held = {
        "gru.w": RANDOM.normal(size=(1, 30, width)).astype(np.float32),
        "gru.r": RANDOM.normal(size=(1, 30, 10)).astype(np.float32),
        "gru.zero": np.array([0]),
        "gru.one": np.array([1]),
        "gru.weight": np.float32(weight),
    }
    node = helper.make_node
    added = [
        node("Unsqueeze", [graph.input[0].name, "gru.zero"], ["gru.x"]),
        node("Shape", [graph.input[0].name], ["gru.rows"], end=1),
        node("Expand", ["gru.one", "gru.rows"], ["gru.ones"]),
        node("Cast", ["gru.ones"], ["gru.lengths"], to=TensorProto.INT32),
        node("GRU", ["gru.x", "gru.w", "gru.r", "", "gru.lengths"], ["", "gru.h"], name="gru", hidden_size=10),
        node("Squeeze", ["gru.h", "gru.zero"], ["gru.last"]),
        node("Mul", ["gru.last", "gru.weight"], ["gru.weighed"]),
        node("Add", [logits, "gru.weighed"], ["gru.logits"]),
    ]
    softmax = next(index for index, one in enumerate(graph.node) if one.op_type == "Softmax")
    graph.node[softmax].input[0] = "gru.logits"
    for index, one in enumerate(added):
        graph.node.insert(softmax + index, one)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held.items())
    onnx.save(model, folder / "remembering.onnx")
    return folder / "remembering.onnx"


FAULT = "gru (GRU): onnx's reference ignores sequence_lens"


def test_evidence_says_that_the_reference_was_not_asked_when_it_is_known_to_be_wrong(line, digits, tmp_path, source_of):
    path = remembering(line, tmp_path, weight=0.0)
    evidence = prove(line.bundle, source_of(line.checkpoint, digits), path, ExportSettings())
    assert [one.right for one in evidence.parity] == ["onnxruntime"]
    assert evidence.reference_faults == (FAULT,)


def test_gate_stays_shut_when_onnxruntime_itself_differs(line, digits, tmp_path, source_of):
    source, path = source_of(line.checkpoint, digits), remembering(line, tmp_path, weight=0.5)
    with pytest.raises(ParityError) as caught:
        prove(line.bundle, source, path, ExportSettings())
    assert str(caught.value).startswith("onnxruntime does not predict as torch on ")
    assert str(caught.value).endswith(f" Where it begins is not known: {FAULT}.")
