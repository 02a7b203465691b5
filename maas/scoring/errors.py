"""Metrics of predicted numbers; all of them follow from sums over rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.scoring.names import METRICS_OF_NUMBERS, PINBALL, parameter_of

ErrorSums = NDArray[np.float64]
PLAIN_COLUMNS = 6
"""Columns that do not depend on a quantile."""


def error_columns(targets: NDArray[Any], predictions: NDArray[Any], metrics: Sequence[str]) -> ErrorSums:
    """Returns what each row adds to the sums: 1, y, y², (y − ŷ)², |y − ŷ|, |y − ŷ| / |y|, and quantile losses; (N, C).

    y is taken from its mean, which R² does not depend on: squares of large numbers would swallow the differences.

    Args:
        targets: y, (N,).
        predictions: ŷ, (N,).
        metrics: that are wanted; those of quantiles have columns of their own.
    """
    wanted = targets.astype(np.float64)
    error = wanted - predictions.astype(np.float64)
    size, smallest = np.abs(error), np.finfo(np.float64).eps  # scikit-learn's, where y is 0
    relative = size / np.maximum(np.abs(wanted), smallest)
    levels = [one / 100 for one in _percents(metrics)]
    wanted = wanted - wanted.mean()
    plain = [np.ones_like(wanted), wanted, wanted**2, error**2, size, relative]
    return np.stack([*plain, *(np.maximum(level * error, (level - 1) * error) for level in levels)], axis=1)


def error_metrics(sums: ErrorSums, metrics: Sequence[str]) -> dict[str, Any]:
    """Returns each metric from sums (…, C) of `error_columns` of the same metrics.

    R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², 0 where all targets are equal; MAE = 1/N Σ|y − ŷ|; RMSE = √(1/N Σ(y − ŷ)²);
    MAPE = 1/N Σ|y − ŷ| / |y|; the quantile loss of a level q is 1/N Σ max(q (y − ŷ), (q − 1)(y − ŷ)).
    """
    count, total, squares, squared_error, absolute_error, relative_error = np.moveaxis(sums, -1, 0)[:PLAIN_COLUMNS]
    count = np.maximum(count, 1.0)  # a resampling of very few rows may be empty
    spread = squares - total**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squared_error / spread, 0.0)
    found = {
        "r2": r2,
        "mae": absolute_error / count,
        "rmse": np.sqrt(squared_error / count),
        "mape": relative_error / count,
    }
    quantiles = {
        f"{PINBALL}{one}": sums[..., PLAIN_COLUMNS + place] / count for place, one in enumerate(_percents(metrics))
    }
    return {name: value for name, value in {**found, **quantiles}.items() if name in metrics}


def number_metrics(chosen: str | None) -> tuple[str, ...]:
    """Returns the metrics of numbers that are computed: all, and the chosen one where that is of a quantile."""
    is_of_quantile = chosen is not None and parameter_of(chosen, PINBALL) is not None
    return (*METRICS_OF_NUMBERS, str(chosen)) if is_of_quantile else METRICS_OF_NUMBERS


def _percents(metrics: Sequence[str]) -> list[int]:
    return [percent for one in metrics if (percent := parameter_of(one, PINBALL)) is not None]
