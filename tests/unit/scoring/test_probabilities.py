"""Metrics of probabilities against scikit-learn and torchmetrics; their standard errors against the bootstrap."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torchmetrics.functional.classification import multiclass_calibration_error

from maas.scoring.estimates import Estimate
from maas.scoring.probabilities import (
    PROBABILITY_METRICS,
    auc,
    average_precision,
    brier,
    calibration_error,
    log_loss,
    probability_metric,
)

NAMES = (*PROBABILITY_METRICS, "ece_15")


def some(rows: int, classes: int, seed: int, *, sharp: float = 1.5, digits: int | None = None):
    """Returns targets, and probabilities that know something of them; few digits make ties."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) + sharp * np.eye(classes)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return targets, probabilities if digits is None else probabilities.round(digits)


def of_sklearn(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    labels = range(probabilities.shape[1])
    given = probabilities[:, 1] if len(labels) == 2 else probabilities
    rest = {} if len(labels) == 2 else {"multi_class": "ovr", "labels": labels}
    return {
        "auc": reference.roc_auc_score(targets, given, **rest),
        "average_precision": reference.average_precision_score(targets, given),
        "log_loss": reference.log_loss(targets, probabilities, labels=labels),
        "brier": reference.brier_score_loss(targets, given, labels=labels),
    }


def values(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {name: metric(targets, probabilities).value for name, metric in PROBABILITY_METRICS.items()}


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_equal_scikit_learns_when_rows_are_random(classes, dtype):
    targets, probabilities = some(300, classes, classes)
    found, given = values(targets, probabilities.astype(dtype)), probabilities.astype(dtype)
    assert found == pytest.approx(of_sklearn(targets, given), rel=2e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("digits", [0, 1])
def test_ranks_equal_scikit_learns_when_many_rows_are_tied(digits):
    targets, probabilities = some(300, 2, 5, digits=digits)
    expected = of_sklearn(targets, np.stack([1 - probabilities[:, 1], probabilities[:, 1]], axis=1))
    assert auc(targets, probabilities).value == pytest.approx(expected["auc"], rel=1e-12)
    assert average_precision(targets, probabilities).value == pytest.approx(expected["average_precision"], rel=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_values_equal_scikit_learns_when_predictions_are_constant(classes):
    targets = np.arange(60) % classes
    probabilities = np.full((60, classes), 1 / classes)
    assert values(targets, probabilities) == pytest.approx(of_sklearn(targets, probabilities), rel=1e-12)
    assert auc(targets, probabilities).value == 0.5


def test_values_equal_scikit_learns_when_probabilities_are_0_and_1():
    targets, sure = np.array([0, 1, 1, 0, 1]), np.array([1, 1, 0, 0, 1])
    for dtype in (np.float32, np.float64):
        probabilities = np.eye(2, dtype=dtype)[sure]
        assert values(targets, probabilities) == pytest.approx(of_sklearn(targets, probabilities), rel=1e-6)


def test_labels_without_rows_are_left_out_when_the_mean_over_labels_is_taken():
    targets, probabilities = some(200, 4, 1)
    kept = targets != 2
    targets, probabilities = targets[kept], probabilities[kept]
    each = [label for label in range(4) if label != 2]
    ranked = [reference.roc_auc_score(targets == label, probabilities[:, label]) for label in each]
    precise = [reference.average_precision_score(targets == label, probabilities[:, label]) for label in each]
    assert auc(targets, probabilities).value == pytest.approx(np.mean(ranked))
    assert average_precision(targets, probabilities).value == pytest.approx(np.mean(precise))
    assert log_loss(targets, probabilities).value == pytest.approx(
        reference.log_loss(targets, probabilities, labels=range(4))
    )


def test_nothing_is_known_of_ranks_when_all_rows_have_one_label():
    probabilities = np.array([[0.2, 0.8], [0.6, 0.4]])
    found = auc(np.array([0, 0]), probabilities)
    assert (found.value, found.is_known) == (0.5, False)
    assert not average_precision(np.array([0, 0]), probabilities).is_known
    assert average_precision(np.array([1, 1]), probabilities).value == 1.0


@pytest.mark.parametrize("bins", [2, 10, 15])
def test_calibration_error_equals_torchmetrics_when_rows_are_random(bins):
    targets, probabilities = some(500, 3, 2, sharp=0.5)
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(targets), num_classes=3, n_bins=bins, norm="l1"
    )
    assert calibration_error(targets, probabilities, bins).value == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_is_written_out_when_a_row_lies_at_a_bins_end():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.0, 1.0]])
    found = calibration_error(np.array([0, 1, 0, 0]), probabilities, 2).value  # the bins end at 0.5 and 1
    assert found == pytest.approx((abs(1 - 0.5) + abs((1 - 0.75) + (1 - 1) + (0 - 1))) / 4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_influence_is_the_derivative_by_a_rows_weight_when_a_row_counts_twice(name, classes):
    targets, probabilities = some(4000, classes, 3)
    metric = probability_metric(name)
    whole = metric(targets, probabilities)
    assert whole.influence.sum() == pytest.approx(0, abs=1e-9)
    for row in (0, 17, 399):
        again = np.append(np.arange(4000), row)
        moved = metric(targets[again], probabilities[again]).value - whole.value
        assert moved == pytest.approx(whole.influence[row], rel=0.02, abs=2e-7)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_standard_error_equals_the_bootstraps_when_rows_are_drawn(name, classes):
    targets, probabilities = some(800, classes, 4)
    metric, random = probability_metric(name), np.random.default_rng(0)
    drawn = [random.integers(0, 800, 800) for _ in range(150)]
    samples = np.array([metric(targets[rows], probabilities[rows]).value for rows in drawn])
    allowed = 0.35 if name == "ece_15" else 0.2  # bins whose gap may change its sign move less
    assert metric(targets, probabilities).deviation == pytest.approx(samples.std(), rel=allowed)


def test_variance_of_auc_is_delongs_when_it_is_written_out():
    targets, probabilities = some(40, 2, 6)
    own, rest = probabilities[targets == 1, 1], probabilities[targets == 0, 1]
    pairs = (own[:, None] > rest) + 0.5 * (own[:, None] == rest)
    expected = pairs.mean(1).var(ddof=1) / len(own) + pairs.mean(0).var(ddof=1) / len(rest)
    assert auc(targets, probabilities).deviation == pytest.approx(np.sqrt(expected))


def test_brier_of_two_labels_is_that_of_the_second_when_it_is_written_out():
    probabilities = np.array([[0.3, 0.7], [0.9, 0.1]])
    assert brier(np.array([1, 1]), probabilities).value == pytest.approx((0.3**2 + 0.9**2) / 2)


def test_names_with_bins_are_metrics_when_there_are_two_or_more():
    assert probability_metric("ece_20") is not None
    for name in ("ece_1", "ece_", "ece_015", "ece_1001", "ece_x", "accuracy"):
        assert probability_metric(name) is None


def test_estimate_has_no_error_when_no_row_moves_it():
    assert Estimate(1.0, np.zeros(5)).deviation == 0
