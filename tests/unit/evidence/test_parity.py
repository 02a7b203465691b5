"""Two ways of computing the same predictions: what counts as a difference, and where it begins."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from maas.errors import ExportError, ParityError
from maas.evidence.parity import first_difference, parity_of, reference_run, require_parity
from maas.evidence.task_metrics import task_metrics_of
from maas.runtime.bundle import Bundle
from maas.runtime.model import outputs_in_batches

TASK_METRICS = task_metrics_of("classification", ["no", "yes"])
LEFT = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], dtype=np.float32)


def other(*changes: tuple[int, int, float]) -> np.ndarray:
    found = LEFT.copy()
    for row, column, value in changes:
        found[row, column] = value
    return found


def test_comparison_holds_both_numbers_when_answers_differ():
    parity = parity_of(TASK_METRICS, "torch", "onnxruntime", LEFT, other((0, 0, 0.3), (0, 1, 0.7)), 1e-5)
    assert (parity.left, parity.right, parity.rows, parity.tolerance) == ("torch", "onnxruntime", 3, 1e-5)
    assert parity.max_difference == pytest.approx(0.6)
    assert parity.agreement.value == pytest.approx(2 / 3)


def test_comparison_passes_when_the_difference_is_within_the_tolerance():
    parity = parity_of(TASK_METRICS, "a", "b", LEFT, LEFT + np.float32(5e-6), 1e-5)
    assert require_parity(parity) is parity


@pytest.mark.parametrize("value", [0.95, float("nan"), float("inf")])
def test_error_carries_both_numbers_when_a_probability_is_off(value):
    with pytest.raises(ParityError) as caught:
        require_parity(
            parity_of(TASK_METRICS, "torch", "onnxruntime", LEFT, other((2, 1, value)), 1e-5), where=" Look there."
        )
    assert caught.value.allowed == 1e-5
    assert caught.value.found == pytest.approx(abs(value - 0.8), nan_ok=True)
    assert str(caught.value).startswith("onnxruntime does not predict as torch on 3 rows: a number differs by ")
    assert str(caught.value).endswith("allowed is 1e-05. Look there.")


def test_every_label_must_agree_when_no_share_is_given():
    with pytest.raises(ParityError, match=r"on 3 rows: 0\.6667 of the predictions agree, at least 1 must\.$"):
        require_parity(parity_of(TASK_METRICS, "a", "b", LEFT, other((0, 0, 0.05)), None))


def test_share_of_labels_is_enough_when_it_is_given():
    parity = parity_of(TASK_METRICS, "exported", "shipped", LEFT, other((0, 0, 0.05)), None)
    assert require_parity(parity, min_agreement=0.6) is parity
    with pytest.raises(ParityError) as caught:
        require_parity(parity, min_agreement=0.99)
    assert (caught.value.found, caught.value.allowed) == (pytest.approx(2 / 3), 0.99)


TAILS = np.array([[1.0, 1e-9], [1.0, 1e-20], [0.75, 0.25], [1.0, 1e-34]], dtype=np.float32)


@pytest.mark.parametrize(
    ("row", "found", "difference"),
    [(0, 0.0, np.inf), (1, 1e-19, np.log(10) / np.log(1e20)), (0, 1.4e-9, 0.01624), (1, float("nan"), np.nan)],
)
def test_lost_tail_is_refused_though_the_probability_itself_hardly_differs(row, found, difference):
    tails = TAILS.copy()
    tails[row, 1] = found
    parity = parity_of(TASK_METRICS, "torch", "onnxruntime", TAILS, tails, 1e-5)
    if not np.isnan(found):
        assert parity.max_difference < 2e-9
        assert parity.max_log_difference == pytest.approx(difference, rel=1e-3)
    assert parity.log_tolerance == pytest.approx(0.01)
    with pytest.raises(ParityError):
        require_parity(parity)


def test_error_names_both_logarithms_when_a_tail_is_lost():
    tails = TAILS.copy()
    tails[0, 1] = 0
    with pytest.raises(ParityError) as caught:
        require_parity(parity_of(TASK_METRICS, "torch", "onnxruntime", TAILS, tails, 1e-5), where=" Look there.")
    assert str(caught.value) == (
        "onnxruntime does not predict as torch on 4 rows: the logarithm of a probability differs by inf%, allowed is "
        "1.00%. Look there."
    )
    assert (caught.value.found, caught.value.allowed) == (np.inf, pytest.approx(0.01))


def test_tails_pass_when_they_are_rounded_or_below_what_float32_holds_or_not_asked_for():
    tails = TAILS * np.float32(1.001)
    tails[3, 1] = 0  # of 1e-34
    tails[2] = TAILS[2]
    tails[:2, 0] = 1
    tails[3, 0] = 1
    parity = parity_of(TASK_METRICS, "a", "b", TAILS, tails, 1e-5)
    assert parity.max_log_difference == pytest.approx(np.log(1.001) / np.log(1e9), rel=1e-2)
    assert require_parity(parity) is parity
    tails[0, 1] = 0
    other = parity_of(TASK_METRICS, "a", "b", TAILS, tails, 1e-5, tails=False)
    assert (require_parity(other).max_log_difference, other.log_tolerance) == (None, None)
    assert parity_of(TASK_METRICS, "a", "b", TAILS, tails).log_tolerance is None
    values = task_metrics_of("regression", [])
    assert parity_of(values, "a", "b", TAILS[:, :1], TAILS[:, :1], 1e-5).max_log_difference is None


def test_reference_answers_as_onnxruntime_does_when_rows_differ_in_length(bundles, tmp_path):
    bundle = Bundle.open(bundles.text_bundle(tmp_path / "bundle", batch_size=2))
    rows = bundle.golden.inputs
    predictor = bundle.predictor
    found = outputs_in_batches(predictor.processor, rows, 2, reference_run(bundle.model_path, "probabilities"))
    np.testing.assert_allclose(found["probabilities"], predictor.scores(rows), atol=1e-6)


def graph(*, random: bool):
    """A linear layer, optionally something that no two evaluators compute alike, and a softmax."""
    middle = [
        helper.make_node("RandomNormalLike", ["linear"], ["noise"], name="noise_node", scale=3.0),
        helper.make_node("Add", ["linear", "noise"], ["logits"], name="add_node"),
    ]
    plain = [helper.make_node("Identity", ["linear"], ["logits"], name="identity_node")]
    nodes = [
        helper.make_node("MatMul", ["features", "weight"], ["linear"], name="linear_node"),
        *(middle if random else plain),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1, name="softmax_node"),
    ]
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), "weight")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("features", 4), ("probabilities", 3))
    ]
    made = helper.make_graph(nodes, "main", ends[:1], ends[1:], [weight])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(("random", "expected"), [(True, "noise_node (RandomNormalLike)"), (False, None)])
def test_first_node_is_named_when_onnxruntime_and_the_reference_differ(tmp_path, random, expected):
    onnx.save(graph(random=random), tmp_path / "model.onnx")
    model_inputs = {"features": np.ones((2, 4), dtype=np.float32)}
    assert first_difference(tmp_path / "model.onnx", model_inputs, 1e-5) == expected


def test_refusal_is_one_line_when_the_reference_lacks_an_operator(tmp_path):
    model = graph(random=False)
    model.graph.node[1].op_type, model.graph.node[1].domain = "QuickGelu", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ExportError) as caught:
        reference_run(tmp_path / "model.onnx", "probabilities")
    assert str(caught.value).startswith(
        "onnx's reference evaluator does not run the graph: Node type 'QuickGelu' from "
    )
    assert str(caught.value).endswith(
        " Nothing ships that it does not confirm. Use operators and settings that it knows."
    )
    assert "\n" not in str(caught.value)
