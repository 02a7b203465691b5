"""Numbers: R², mean absolute error and root mean squared error, each with a bootstrap over rows."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.metrics import RESAMPLES
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval

CLOSE_FRACTION = 0.01
"""Two values agree if they differ by no more than this fraction of the reference values' standard deviation."""
ROUNDING_FRACTION = 1e-6
"""Where the reference values are all alike, by no more than this fraction of them: about eight steps of float32."""

Sums = NDArray[np.float64]


class RegressionMetrics(TaskMetrics):
    """Compares values (N, 1) with numbers (N,).

    R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², MAE = 1/N Σ|y − ŷ|, RMSE = √(1/N Σ(y − ŷ)²); all of them follow from five sums
    over rows, which the bootstrap draws without touching the rows again.
    """

    kind: ClassVar[str] = "regression"
    drop_scale: ClassVar[Mapping[str, float]] = {"r2": 100.0}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns r2, mae and rmse, the last two in the target's unit."""
        columns = _columns(targets, predictions)
        once, many = _metrics(columns.sum(axis=0)), _metrics(_resampled(columns, seed))
        return {name: _interval(once[name], many[name]) for name in once}

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths of R² that are lost; how much larger MAE and RMSE are, in the target's unit."""
        columns = np.concatenate([_columns(targets, parent), _columns(targets, child)], axis=1)
        once, many = columns.sum(axis=0), _resampled(columns, seed)
        lost = [_metrics(sums[..., :5])[metric] - _metrics(sums[..., 5:])[metric] for sums in (once, many)]
        scale = self.drop_scale.get(metric, -1.0)  # of the others less is better
        return _interval(scale * lost[0], scale * lost[1])

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares values to a hundredth of their spread."""
        wanted = reference.astype(np.float64)  # float32 would round the mean of values far from 0, and so their spread
        allowed = CLOSE_FRACTION * wanted.std() or ROUNDING_FRACTION * np.abs(wanted).max()
        near: NDArray[np.bool_] = np.abs(wanted - found)[:, 0] <= allowed
        return near

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the values as a column."""
        return targets[:, None]


def _columns(targets: NDArray[Any], predictions: Scores) -> Sums:
    """Returns what each row adds to the sums: 1, y, y², (y − ŷ)², |y − ŷ|; (N, 5).

    y is taken from its mean, which R² does not depend on: squares of large numbers would swallow the differences.
    """
    wanted = targets.astype(np.float64)
    error = wanted - predictions[:, 0].astype(np.float64)
    wanted = wanted - wanted.mean()
    return np.stack([np.ones_like(wanted), wanted, wanted**2, error**2, np.abs(error)], axis=1)


def _metrics(sums: Sums) -> dict[str, Any]:
    """Returns each metric from sums (…, 5)."""
    count, total, squares, squared_error, absolute_error = np.moveaxis(sums, -1, 0)
    count = np.maximum(count, 1.0)  # a resampling of very few rows may be empty
    spread = squares - total**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squared_error / spread, 0.0)
    return {"r2": r2, "mae": absolute_error / count, "rmse": np.sqrt(squared_error / count)}


def _resampled(columns: Sums, seed: int) -> Sums:
    """Returns the sums of each resampling of the rows, (RESAMPLES, columns); rows are drawn in blocks, for memory.

    A row's count in a resampling is a Poisson(1) number: for many rows the same as drawing N of N.
    """
    generator = np.random.default_rng(seed)
    sums = np.zeros((RESAMPLES, columns.shape[1]))
    for start in range(0, len(columns), 1024):
        block = columns[start : start + 1024]
        sums += generator.poisson(1.0, (RESAMPLES, len(block))).astype(np.float64) @ block
    return sums


def _interval(value: float | Sums, samples: Sums) -> Interval:
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
