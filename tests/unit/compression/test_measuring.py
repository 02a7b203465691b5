"""The bench against the same figures computed directly."""

import numpy as np
import pytest

from maas.evidence.metrics import classification_metrics


def test_value_is_the_recipes_metric_on_validation_rows_when_labels_are_judged(bench, digits):
    answers = bench.predictions(bench.parent)
    labels = answers.argmax(axis=1)
    expected = classification_metrics(digits.validation.targets, labels, 10)["accuracy"]
    assert bench.value(answers) == expected
    assert bench.value(answers).value == pytest.approx((labels == digits.validation.targets).mean())


def test_drop_is_counted_against_the_parent_when_the_child_errs(bench, digits):
    parent = digits.validation.targets
    child = parent.copy()
    child[:5] = (child[:5] + 1) % 10
    plain = bench.judge.plain
    assert bench.drop(plain(parent), plain(child)).value == pytest.approx(100 * 5 / len(parent))


def test_batch_mates_do_not_matter_when_the_model_is_fp32(bench):
    assert bench.batch_effect(bench.parent) < 1e-6


def test_ratio_is_one_against_itself_when_models_race(bench, line):
    twin = bench.predictor(line.bundle.model_path)
    found = bench.latencies({"parent": bench.parent, "twin": twin}, "parent")
    assert found["parent"].ratio == 1
    assert found["twin"].ratio_low <= found["twin"].ratio <= found["twin"].ratio_high
    assert found["twin"].batch_size == 16
    assert np.isfinite(found["twin"].median_ms)
