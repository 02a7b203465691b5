"""Intervals in closed form and of resampled sums, against resampling the rows themselves, and how often they cover."""

import numpy as np
import pytest
from sklearn import metrics as reference

from maas.errors import ConfigError
from maas.evidence import resampling
from maas.evidence.resampling import (
    interval_of_drop,
    interval_of_estimate,
    interval_of_function,
    resampled,
)
from maas.evidence.task_metrics import task_metrics_of
from maas.scoring.estimates import Estimate
from maas.scoring.probabilities import PROBABILITY_METRICS, auc, probability_metric

NAMES = (*PROBABILITY_METRICS, "ece_15")


def drawn(rows: int, seed: int, classes: int = 2):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[targets]
    return targets, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def worse(probabilities: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.3, probabilities.shape)
    found = np.exp(np.log(probabilities) + noise)
    return found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", [one for one in NAMES if one != "ece_15"])  # whose expectation falls with the rows
def test_interval_covers_the_truth_about_as_often_as_it_says_when_samples_are_drawn(name):
    metric, covered = probability_metric(name), 0
    truth = metric(*drawn(200_000, 1)).value
    for seed in range(200):
        found = interval_of_estimate(metric(*drawn(200, 100 + seed)))
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 200 <= 0.99  # 0.95 ± 3 standard errors


@pytest.mark.parametrize("name", NAMES)
def test_drops_interval_equals_that_of_resampled_rows_when_both_are_drawn(name):
    targets, parent = drawn(600, 3, 3)
    child, metric, random = worse(parent, 4), probability_metric(name), np.random.default_rng(5)
    task_metrics = task_metrics_of("classification", "abc")
    found = task_metrics.drop(targets, parent, child, name)
    sign = -100 if name not in ("auc", "average_precision") else 100
    samples = []
    for _ in range(150):
        rows = random.integers(0, 600, 600)
        one, other = (metric(targets[rows], scores[rows]).value for scores in (parent, child))
        samples.append(sign * (one - other))
    assert found.value == pytest.approx(sign * (metric(targets, parent).value - metric(targets, child).value))
    if name != "ece_15":  # that of resampled rows is larger
        assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(samples), rel=0.2)


def test_drop_is_nothing_for_certain_when_child_and_parent_agree_everywhere():
    targets, parent = drawn(50, 0)
    for name in NAMES:
        found = task_metrics_of("classification", "ab").drop(targets, parent, parent.copy(), name)
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_ends_stay_between_0_and_1_when_a_metric_is_near_them():
    found = interval_of_estimate(Estimate(0.999, np.full(4, 0.0005), limits=(0.0, 1.0)))
    assert 0 < found.low < 0.999 < found.high < 1
    assert interval_of_estimate(Estimate(0.0, np.zeros(3), limits=(0.0, 1.0))).high == 0
    assert interval_of_estimate(Estimate(0.01, np.full(4, 0.05))).low == 0


def test_anything_is_possible_when_rows_say_nothing():
    found = interval_of_estimate(auc(np.zeros(3, dtype=int), np.full((3, 2), 0.5)))
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    unknown = auc(np.zeros(3, dtype=int), np.full((3, 2), 0.5))
    assert interval_of_drop(unknown, unknown, 100.0).high == 0


def test_interval_is_that_of_rows_when_rows_are_drawn_in_groups(monkeypatch):
    random = np.random.default_rng(0)
    columns = np.stack([np.ones(6000), random.exponential(size=6000)], axis=1)
    alone = resampled(columns, 0)
    monkeypatch.setattr(resampling, "MOST_GROUPS", 1000)
    grouped = resampled(columns, 0)
    means, others = (sums[:, 1] / sums[:, 0] for sums in (alone, grouped))
    assert others.mean() == pytest.approx(means.mean(), abs=3 * means.std() / np.sqrt(len(means)))
    assert others.std() == pytest.approx(means.std(), rel=0.06)


def test_function_has_the_bootstraps_interval_when_rows_are_few_or_many(monkeypatch):
    targets, probabilities = drawn(1500, 2)

    def value(rows: np.ndarray) -> float:
        return float(reference.roc_auc_score(targets[rows], probabilities[rows, 1]))

    expected = interval_of_estimate(auc(targets, probabilities))
    for most in (5000, 500):
        monkeypatch.setattr(resampling, "OWN_ROWS", most)
        found = interval_of_function(value, 1500, seed=1)
        assert found.value == pytest.approx(expected.value)
        assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.25)


def test_function_is_refused_when_it_fails_on_most_resamplings():
    def fails_again(rows: np.ndarray) -> float:
        if len(set(rows.tolist())) < len(rows):
            raise ConfigError("rows repeat")
        return 1.0

    with pytest.raises(ConfigError, match="rows repeat"):
        interval_of_function(fails_again, 30, seed=0)


@pytest.mark.parametrize("name", ["mae", "rmse", "mape", "pinball_90"])
def test_drop_of_an_error_is_in_percent_of_the_parents_when_it_is_written_out(name):
    random = np.random.default_rng(0)
    targets = random.normal(10, 2, 300)
    parent = (targets + random.normal(size=300))[:, None]
    task_metrics = task_metrics_of("regression", (), name)
    found = task_metrics.drop(targets, parent, targets[:, None] + 1.5 * (parent - targets[:, None]), name)
    assert [found.value, found.low, found.high] == pytest.approx([50, 50, 50])
    assert task_metrics.unit(name) == "percent of the error"
    perfect = targets[:, None]
    assert task_metrics.drop(targets, perfect, parent, name).value == pytest.approx(100)
    assert task_metrics.drop(targets, perfect, perfect, name).value == 0


@pytest.mark.parametrize("path", ["sklearn.metrics.zero_one_loss", "sklearn.metrics.roc_auc_score"])
def test_function_of_ones_own_drops_as_the_metric_that_it_is_when_rows_are_the_same(path):
    targets, parent = drawn(400, 3)
    child = worse(parent, 4)
    task_metrics = task_metrics_of("classification", "ab", path)
    found = task_metrics.drop(targets, parent, child, path)
    name = "accuracy" if path.endswith("loss") else "auc"  # the loss is 1 − accuracy
    expected = task_metrics.drop(targets, parent, child, name)
    assert found.value == pytest.approx(expected.value)
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.3)
    assert path in task_metrics.compute(targets, parent)
    assert path not in task_metrics.of_predictions(targets, parent.argmax(axis=1))


def test_rows_that_are_labels_alone_have_metrics_of_labels_when_a_baseline_gives_no_probabilities():
    targets = np.array([0, 1, 1])
    found = task_metrics_of("classification", "ab", "ece_10").of_predictions(targets, targets)
    assert set(found) == {"accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc"}
