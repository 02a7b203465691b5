"""The temperature is the one with the smallest log loss."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from maas.scoring.temperature import LARGEST_TEMPERATURE, fitted_temperature


def rows(truth: float, classes: int = 4, count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits that are `truth` times too large, and targets drawn by what they should be."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (count, classes))
    targets = np.array([random.choice(classes, p=one) for one in softmax(logits, axis=1)])
    return (truth * logits).astype(np.float32), targets


@pytest.mark.parametrize("truth", [0.3, 1.0, 3.0])
def test_temperature_equals_a_general_minimisers_when_logits_are_too_large_or_small(truth):
    logits, targets = rows(truth)
    found = fitted_temperature(logits, targets)
    best = minimize_scalar(
        lambda one: log_loss(targets, softmax(logits.astype(float) / np.exp(one), axis=1)), bounds=(-3, 3)
    )
    assert found == pytest.approx(np.exp(best.x), rel=1e-3)
    assert found == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(("sign", "expected"), [(1, 1 / LARGEST_TEMPERATURE), (-1, LARGEST_TEMPERATURE)])
def test_temperature_stays_within_its_limits_when_rows_are_all_right_or_all_wrong(sign, expected):
    targets = np.arange(30) % 3
    logits = sign * np.eye(3)[targets]
    assert fitted_temperature(logits, targets) == pytest.approx(expected, rel=1e-6)
