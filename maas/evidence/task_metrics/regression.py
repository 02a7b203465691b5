"""Numbers: R² and how far predictions lie from the targets, each with a bootstrap over rows."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import interval_of, resampled
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval
from maas.scoring.errors import error_columns, error_metrics, number_metrics
from maas.scoring.own import OwnMetric, is_own

CLOSE_FRACTION = 0.01
"""Two values agree if they differ by no more than this fraction of the reference values' standard deviation."""
ROUNDING_FRACTION = 1e-6
"""Where the reference values are all alike, by no more than this fraction of them: about eight steps of float32."""


class RegressionMetrics(TaskMetrics):
    """Compares values (N, 1) with numbers (N,), by sums over rows that the bootstrap draws without touching them again.

    Of errors the drop is in percent of the parent's: they have the unit of the targets.
    """

    kind: ClassVar[str] = "regression"
    drop_scale: ClassVar[Mapping[str, float]] = {"r2": 100.0, "mae": -100.0, "rmse": -100.0, "mape": -100.0}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns r2, mae, rmse and mape, and the chosen metric where it is another one."""
        names = number_metrics(self.chosen)
        columns = error_columns(targets, predictions[:, 0], names)
        once, many = error_metrics(columns.sum(axis=0), names), error_metrics(resampled(columns, seed), names)
        found = {name: interval_of(float(once[name]), many[name]) for name in names}
        if self.chosen and is_own(self.chosen):
            found[self.chosen] = self.own_value(targets, predictions, self.chosen, seed)
        return found

    def value(self, targets: NDArray[Any], predictions: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns one metric."""
        if is_own(metric):
            return self.own_value(targets, predictions, metric, seed)
        columns = error_columns(targets, predictions[:, 0], [metric])
        once, many = (error_metrics(one, [metric])[metric] for one in (columns.sum(axis=0), resampled(columns, seed)))
        return interval_of(float(once), many)

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths of R² that are lost; of errors, by how many percent they are larger."""
        if is_own(metric):
            return self.own_drop(targets, parent, child, metric, seed)
        columns = np.concatenate([error_columns(targets, one[:, 0], [metric]) for one in (parent, child)], axis=1)
        width = columns.shape[1] // 2
        once, many = (
            [error_metrics(part, [metric])[metric] for part in (sums[..., :width], sums[..., width:])]
            for sums in (columns.sum(axis=0), resampled(columns, seed))
        )
        if metric == "r2":
            return interval_of(float(100 * (once[0] - once[1])), 100 * (many[0] - many[1]))
        return interval_of(float(_rise(*once)), _rise(*many))

    def unit(self, metric: str) -> str:
        """Returns percent for errors, which have the unit of the targets."""
        return super().unit(metric) if metric == "r2" or is_own(metric) else "percent of the error"

    def given(self, own: OwnMetric, scores: Scores) -> NDArray[Any]:
        """Returns the values (N,)."""
        return scores[:, 0]

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares values to a hundredth of their spread."""
        wanted = reference.astype(np.float64)  # float32 would round the mean of values far from 0, and so their spread
        allowed = CLOSE_FRACTION * wanted.std() or ROUNDING_FRACTION * np.abs(wanted).max()
        near: NDArray[np.bool_] = np.abs(wanted - found)[:, 0] <= allowed
        return near

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the values as a column."""
        return targets[:, None]


def _rise(parent: NDArray[np.float64], child: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns by how many percent errors rise; from no error to any by 100."""
    base = np.where(parent > 0, parent, child)
    rise: NDArray[np.float64] = 100 * (child - parent) / np.where(base > 0, base, 1.0)
    return rise
