"""The evaluator against the same figures computed directly."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from maas.compression.evaluator import TimingTarget
from maas.evidence.footprint import footprint_of
from maas.evidence.metrics import classification_metrics


def test_value_is_the_recipes_metric_on_validation_rows_when_labels_are_evaluated(evaluator, digits):
    answers = evaluator.scores(evaluator.parent)
    labels = answers.argmax(axis=1)
    expected = classification_metrics(digits.validation.targets, labels, 10)["accuracy"]
    assert evaluator.value(answers) == expected
    assert evaluator.value(answers).value == pytest.approx((labels == digits.validation.targets).mean())


def test_drop_is_counted_against_the_parent_when_the_child_errs(evaluator, digits):
    parent = digits.validation.targets
    child = parent.copy()
    child[:5] = (child[:5] + 1) % 10
    plain = evaluator.task_metrics.as_scores
    assert evaluator.drop(plain(parent), plain(child)).value == pytest.approx(100 * 5 / len(parent))


def test_batch_mates_do_not_matter_when_the_model_is_fp32(evaluator):
    assert evaluator.batch_effect(evaluator.parent) < 1e-6


def test_ratio_is_one_against_itself_when_models_race(evaluator, line):
    model = line.bundle.model_path
    found = evaluator.latencies({"parent": model, "twin": model}, "parent", TimingTarget(8, 1))
    assert all(one.ratio == 1 for one in found["parent"])
    for twin in found["twin"]:
        assert twin.ratio_low <= twin.ratio <= twin.ratio_high
        assert np.isfinite(twin.median_ms)
    settings = [(one.batch_size, one.threads) for one in found["twin"]]
    assert settings[0] == (8, 1), "the target comes first"
    assert set(settings[1:]) >= {(1, 1), (16, 1), (32, 1)}


def test_batch_is_full_when_there_are_fewer_rows(evaluator):
    few = replace(evaluator, validation=evaluator.validation.picked(np.arange(5)))
    (features,) = few.timed_inputs(batch_size=16, count=3)[0].values()
    assert len(features) == 16
    np.testing.assert_array_equal(features[:5], features[5:10])


def test_footprint_is_measured_when_a_graph_takes_texts(tmp_path):
    ends = [
        onnx.helper.make_tensor_value_info("city", onnx.TensorProto.STRING, ["n"]),
        onnx.helper.make_tensor_value_info("place", onnx.TensorProto.INT64, ["n"]),
    ]
    encoding = onnx.helper.make_node(
        "LabelEncoder", ["city"], ["place"], domain="ai.onnx.ml", keys_strings=["a", "ä"], values_int64s=[0, 1]
    )
    graph = onnx.helper.make_graph([encoding], "main", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "model.onnx")
    found = footprint_of(tmp_path / "model.onnx", {"city": np.array(["a", "ä"], dtype=object)}, threads=1)
    assert found.load_ms > 0


def test_footprint_is_that_of_the_runtime_when_a_model_is_opened_alone(evaluator, line):
    found = evaluator.footprint(line.bundle.model_path)
    assert 2e7 < found.peak_bytes < 5e8
    assert 0 < found.load_ms < 10_000


def test_worst_slice_is_the_label_that_loses_most_when_the_child_errs(evaluator, digits):
    targets = np.asarray(digits.validation.targets)
    child = targets.copy()
    child[np.flatnonzero(targets == 7)[:4]] = 1
    child[np.flatnonzero(targets == 2)[:1]] = 1
    worst = evaluator.worst_slice(evaluator.task_metrics.as_scores(targets), evaluator.task_metrics.as_scores(child))
    assert worst.name == "7"
    assert worst.rows == (targets == 7).sum()
    assert worst.drop == pytest.approx(400 / worst.rows)
