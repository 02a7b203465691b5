"""What the metrics of every task can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.evidence import Interval, Slice

Scores = NDArray[Any]
"""The plain numbers of a model, (N, K), as an answer's `predictions` gives them."""


class TaskMetrics(ABC):
    """Compares plain numbers with targets, and with other plain numbers.

    Args:
        classes: the number of labels; 0 where predictions are no labels.
    """

    kind: ClassVar[str]
    drop_scale: ClassVar[Mapping[str, float]]
    """Each metric that a recipe may choose, with how many percentage points 1 is; of all of them more is better."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

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
