"""What the metrics of every task can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.evidence import Interval, Slice

Scores = NDArray[Any]
"""The plain numbers of a model, (N, K), as an answer's `predictions` gives them."""
LEAST_PROBABILITY = 1e-30
"""Probabilities below are not compared by their logarithm: float32 ends at 1e-38, and digits are lost before."""


class TaskMetrics(ABC):
    """Compares plain numbers with targets, and with other plain numbers.

    Args:
        labels: the K names, or the characters of texts; none where predictions are neither.
    """

    kind: ClassVar[str]
    drop_scale: ClassVar[Mapping[str, float]]
    """Each metric that a recipe may choose, with how many percentage points 1 is; of all of them more is better."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

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

    @abstractmethod
    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the parent's metric minus the child's on the same rows, in percentage points, with an interval."""

    @abstractmethod
    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Returns for each row whether both give the same prediction, (N,)."""

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
