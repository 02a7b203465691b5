"""Metrics of numbers against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference

from maas.scoring.errors import error_columns, error_metrics, number_metrics

NAMES = ("r2", "mae", "rmse", "mape", "pinball_10", "pinball_50", "pinball_95")
RANDOM = np.random.default_rng(0)
CASES = {
    "random": (RANDOM.normal(size=300), RANDOM.normal(size=300)),
    "constant predictions": (RANDOM.normal(size=50), np.full(50, 0.3)),
    "all right": (np.arange(5.0), np.arange(5.0)),
    "targets of 0": (np.array([0.0, 1.0, -2.0]), np.array([0.5, 1.0, -1.0])),
}


def found(targets: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    return error_metrics(error_columns(targets, predictions, NAMES).sum(axis=0), NAMES)


@pytest.mark.parametrize("case", CASES)
def test_errors_equal_scikit_learns_when_cases_are_usual_and_not(case):
    targets, predictions = CASES[case]
    expected = {
        "r2": reference.r2_score(targets, predictions),
        "mae": reference.mean_absolute_error(targets, predictions),
        "rmse": reference.root_mean_squared_error(targets, predictions),
        "mape": reference.mean_absolute_percentage_error(targets, predictions),
        **{
            f"pinball_{one}": reference.mean_pinball_loss(targets, predictions, alpha=one / 100) for one in (10, 50, 95)
        },
    }
    assert {name: float(value) for name, value in found(targets, predictions).items()} == pytest.approx(expected)


def test_r2_is_nothing_when_all_targets_are_equal():
    assert found(np.ones(4), np.arange(4.0))["r2"] == 0


def test_quantile_loss_is_computed_beside_the_others_when_it_is_chosen():
    assert number_metrics("pinball_90") == ("r2", "mae", "rmse", "mape", "pinball_90")
    assert number_metrics("mae") == number_metrics(None) == ("r2", "mae", "rmse", "mape")
