"""Sets of labels: F1 over labels, over pairs and over rows, rows that are wholly right, wrong labels, and ranking."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import interval_of, interval_of_drop, interval_of_estimate, resampled
from maas.evidence.task_metrics.base import Scores, TaskMetrics, difference_of_logarithms
from maas.records.evidence import Interval, Slice
from maas.runtime.postprocessors.multilabel import predicted_members
from maas.scoring.label_sets import average_precision_of_sets, set_columns, set_metrics
from maas.scoring.names import METRICS_OF_SETS, is_loss
from maas.scoring.own import OwnMetric, is_own, own_metric

RANKING = "average_precision"


class MultilabelMetrics(TaskMetrics):
    """Reads probabilities (N, K) by their thresholds; targets are 0 and 1, (N, K)."""

    kind: ClassVar[str] = "multilabel"
    drop_scale: ClassVar[Mapping[str, float]] = {name: -100.0 if is_loss(name) else 100.0 for name in METRICS_OF_SETS}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns the metrics of sets, the labels' mean average precision, and the chosen one where it is a user's."""
        columns = self._columns(targets, predictions)
        once, many = set_metrics(columns.sum(axis=0)), set_metrics(resampled(columns, seed))
        found = {name: interval_of(float(once[name]), many[name]) for name in once}
        others = dict.fromkeys([RANKING, *([self.chosen] if self.chosen and is_own(self.chosen) else [])])
        return {**found, **{name: self.value(targets, predictions, name, seed) for name in others}}

    def value(self, targets: NDArray[Any], predictions: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns one metric."""
        if metric == RANKING:
            return interval_of_estimate(average_precision_of_sets(targets > 0, predictions))
        if is_own(metric):
            return self.own_value(_numbers(targets > 0), predictions, metric, seed)
        columns = self._columns(targets, predictions)
        once, many = set_metrics(columns.sum(axis=0)), set_metrics(resampled(columns, seed))
        return interval_of(float(once[metric]), many[metric])

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths that are lost; of the loss, the hundredths that it rises by."""
        scale = self.scale_of(metric)
        if metric == RANKING:
            before, after = (average_precision_of_sets(targets > 0, one) for one in (parent, child))
            return interval_of_drop(before, after, scale)
        if is_own(metric):
            return self.own_drop(_numbers(targets > 0), parent, child, metric, seed)
        columns = np.concatenate([self._columns(targets, one) for one in (parent, child)], axis=1)
        width = columns.shape[1] // 2
        once, many = (
            set_metrics(sums[..., :width])[metric] - set_metrics(sums[..., width:])[metric]
            for sums in (columns.sum(axis=0), resampled(columns, seed))
        )
        return interval_of(float(scale * once), scale * many)

    def comparable(self, scores: Scores, metric: str | None) -> Scores:
        """Returns 0 and 1 by the predicted labels where there are thresholds and the metric is of sets."""
        is_of_scores = metric is not None and is_own(metric) and own_metric(metric).takes_scores
        if not self.thresholds or metric == RANKING or is_of_scores:
            return scores
        return self._members(scores).astype(np.float32)

    def given(self, own: OwnMetric, scores: Scores) -> NDArray[Any]:
        """Returns the predicted labels or the probabilities, (N, K), as the function takes them."""
        return scores if own.takes_scores else _numbers(self._members(scores))

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares whole sets."""
        same: NDArray[np.bool_] = (self._members(reference) == self._members(found)).all(axis=1)
        return same

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the targets, which are probabilities of 0 and 1."""
        return targets.astype(np.float32)

    def log_difference(self, reference: Scores, found: Scores) -> float:
        """Compares the probabilities of all labels."""
        return difference_of_logarithms(reference, found)

    def slices(self, targets: NDArray[Any] | None, labels: Sequence[str], parent: Scores, child: Scores) -> list[Slice]:
        """Returns how many percentage points fewer of the rows with a label are given it, for each label."""
        if targets is None:
            return []
        before, after = (self._members(one).astype(np.float64) for one in (parent, child))
        return [
            Slice(str(name), int(among.sum()), 100 * float((before - after)[among, place].mean()))
            for place, name in enumerate(labels)
            if (among := targets[:, place] > 0).any()
        ]

    def _members(self, probabilities: Scores) -> NDArray[np.bool_]:
        return predicted_members(probabilities, self.thresholds)

    def _columns(self, targets: NDArray[Any], predictions: Scores) -> NDArray[np.float64]:
        return set_columns(targets > 0, self._members(predictions))


def _numbers(members: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns 0 and 1, as functions of scikit-learn take sets of labels."""
    return members.astype(np.int64)
