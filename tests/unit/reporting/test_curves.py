"""Calibration and curves, compared with scikit-learn's and with counts by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from maas.reporting.curves import calibration_bins, confused_pairs, precision_recall_of, roc_of

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray]:
    """Whether rows are positive, and probabilities of that."""
    is_positive = RANDOM.random(5000) < 0.3
    return is_positive, np.clip(0.3 * is_positive + 0.7 * RANDOM.random(5000), 0, 1)


def test_bins_are_those_of_scikit_learn_when_probabilities_are_binned(scored):
    is_right, confidences = scored
    right, confidence = calibration_curve(is_right, confidences, n_bins=10, strategy="uniform")
    found = calibration_bins(confidences, is_right)
    assert [one.right.value for one in found] == pytest.approx(right)
    assert [one.confidence for one in found] == pytest.approx(confidence)
    assert sum(one.rows for one in found) == 5000
    assert all(one.right.low <= one.right.value <= one.right.high for one in found)


def test_last_bin_holds_certainty_when_a_probability_is_one():
    (one,) = calibration_bins(np.array([1.0, 0.95]), np.array([True, False]))
    assert (one.rows, one.right.value) == (2, 0.5)


def test_roc_has_the_area_of_scikit_learn_when_it_is_thinned(scored):
    curve = roc_of(*scored)
    assert len(curve.x) <= 200
    assert auc(curve.x, curve.y) == pytest.approx(roc_auc_score(*scored), abs=0.002)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert curve.chance == scored[0].mean()


def test_precision_runs_from_the_left_when_recall_grows(scored):
    curve = precision_recall_of(*scored)
    precision, recall, _ = precision_recall_curve(*scored)
    assert np.all(np.diff(curve.x) >= 0)
    assert auc(curve.x, curve.y) == pytest.approx(auc(recall, precision), abs=0.01)


def test_pairs_are_the_most_frequent_mistakes_when_labels_are_confused():
    confusion = [[9, 1, 0], [5, 7, 2], [0, 0, 8]]
    assert confused_pairs(confusion, 2) == [(1, 0, 5), (1, 2, 2)]
    assert confused_pairs(confusion, 9) == [(1, 0, 5), (1, 2, 2), (0, 1, 1)]
    assert confused_pairs([[3, 0], [0, 3]], 5) == []
