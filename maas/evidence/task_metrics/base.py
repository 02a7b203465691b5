"""What the metrics of every task can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import interval_of_function
from maas.records.evidence import Interval, Slice
from maas.scoring.names import is_loss
from maas.scoring.own import OwnMetric, own_metric

Scores = NDArray[Any]
"""The plain numbers of a model, (N, K), as an answer's `predictions` gives them."""
LEAST_PROBABILITY = 1e-30
"""Probabilities below are not compared by their logarithm: float32 ends at 1e-38, and digits are lost before."""


class TaskMetrics(ABC):
    """Compares plain numbers with targets, and with other plain numbers.

    Args:
        labels: the K names, or the characters of texts; none where predictions are neither.
        chosen: metric of the recipe, which may be none of the usual ones; None for no other.
        thresholds: what scores must reach, where labels are predicted by thresholds.
    """

    kind: ClassVar[str]
    drop_scale: ClassVar[Mapping[str, float]]
    """Each metric that a recipe may choose by name, with how many percentage points 1 is; below 0 of losses."""

    def __init__(self, labels: Sequence[str], chosen: str | None = None, thresholds: Sequence[float] = ()) -> None:
        self.labels = tuple(labels)
        self.chosen = chosen
        self.thresholds = tuple(thresholds)

    @property
    def classes(self) -> int:
        """K."""
        return len(self.labels)

    @abstractmethod
    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns every metric with its 95 % interval.

        Args:
            targets: (N,), as a split holds them.
            predictions: (N, K).
            seed: random seed of the resampling.
        """

    def of_predictions(self, targets: NDArray[Any], predicted: NDArray[Any], seed: int = 0) -> dict[str, Interval]:
        """Returns the metrics of predictions (N,) that come without scores."""
        return self.compute(targets, self.as_scores(predicted), seed)

    def value(self, targets: NDArray[Any], predictions: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns one metric with its 95 % interval; the others are not computed where that takes time."""
        return self.compute(targets, predictions, seed)[metric]

    @abstractmethod
    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns by how much the child's metric is worse than the parent's on the same rows, with an interval.

        It is in percentage points, hundredths of the metric, unless `unit` names another; above 0 is worse, also of a
        metric of which less is better.
        """

    def comparable(self, scores: Scores, metric: str | None) -> Scores:
        """Returns scores by which models of different thresholds are compared, without any.

        Args:
            scores: (N, K).
            metric: that compares them; None where predictions are compared.
        """
        return scores

    def unit(self, metric: str) -> str:
        """Returns the unit of a metric's drop."""
        return "percentage points"

    def scale_of(self, metric: str) -> float:
        """Returns what a difference of a metric is multiplied by, so that it is a drop."""
        return -100.0 if is_loss(metric) else 100.0

    def own_value(self, targets: NDArray[Any], predictions: Scores, metric: str, seed: int) -> Interval:
        """Returns a user's own function, named by its import path, with a bootstrap over rows."""
        own = own_metric(metric)
        given = self.given(own, predictions)
        return interval_of_function(lambda rows: own.value(targets[rows], given[rows]), len(targets), seed)

    def own_drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int) -> Interval:
        """Returns the drop of such a function, in hundredths; both are computed on the same drawn rows."""
        own, scale = own_metric(metric), self.scale_of(metric)
        before, after = (self.given(own, one) for one in (parent, child))

        def drop(rows: NDArray[np.int64]) -> float:
            return scale * (own.value(targets[rows], before[rows]) - own.value(targets[rows], after[rows]))

        return interval_of_function(drop, len(targets), seed)

    def given(self, own: OwnMetric, scores: Scores) -> NDArray[Any]:
        """Returns what such a function takes of scores (N, K)."""
        raise NotImplementedError(f"{self.kind} takes no own metrics")  # no recipe can choose one

    @abstractmethod
    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Returns for each row whether both give the same prediction, (N,)."""

    def difference(self, reference: Scores, found: Scores) -> float:
        """Returns the largest difference of a plain number."""
        return float(np.abs(reference - found).max())

    @abstractmethod
    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the scores (N, K) of predictions that are the targets (N,)."""

    def log_difference(self, reference: Scores, found: Scores) -> float | None:
        """Returns how far logarithms of probabilities differ, as a fraction; None where scores are no probabilities."""
        return None

    def confusion(self, targets: NDArray[Any], predictions: Scores) -> NDArray[np.int64] | None:
        """Returns counts (K, K), targets × predicted labels; None where predictions are no labels."""
        return None

    def slices(self, targets: NDArray[Any] | None, labels: Sequence[str], parent: Scores, child: Scores) -> list[Slice]:
        """Returns the metric drop on the rows of each label: a mean hides that one label pays for all.

        Args:
            targets: (N,), numbers of labels; None where rows have none.
            labels: the K names; without any there are no slices.
            parent: scores of the one, (N, K).
            child: of the other.

        Returns:
            For each label that rows carry, the drop in percentage points.
        """
        if targets is None or not len(labels):
            return []
        targets = np.asarray(targets)
        before, after = (self.agrees(self.as_scores(targets), one).astype(np.float64) for one in (parent, child))
        return [
            Slice(str(name), int(among.sum()), 100 * float((before - after)[among].mean()))
            for label, name in enumerate(labels)
            if (among := targets == label).any()
        ]


def difference_of_logarithms(reference: Scores, found: Scores) -> float:
    """Returns max |ln p − ln q| / max(1, |ln p|) over all probabilities p > `LEAST_PROBABILITY`.

    Log-odds of two labels differ by the sum of both. Rounding moves a logit by a fraction of its size.

    Args:
        reference: p, of any shape.
        found: q, of the same.
    """
    counted = reference > LEAST_PROBABILITY
    with np.errstate(divide="ignore", invalid="ignore"):  # a tail that is lost differs by infinity
        logs, others = (np.log(one[counted].astype(np.float64)) for one in (reference, found))
    return float((np.abs(logs - others) / np.maximum(1, np.abs(logs))).max(initial=0.0))
