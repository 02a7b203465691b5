"""Labels: accuracy, precision, recall and F1."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.metrics import CLASSIFICATION_METRICS, classification_metrics, confusion_matrix, paired_drop
from maas.evidence.task_metrics.base import Scores, TaskMetrics, difference_of_logarithms
from maas.records.evidence import Interval


class ClassificationMetrics(TaskMetrics):
    """Reads probabilities (N, K) by the label of the largest; of equal ones the first wins."""

    kind: ClassVar[str] = "classification"
    drop_scale: ClassVar[Mapping[str, float]] = dict.fromkeys(CLASSIFICATION_METRICS, 100.0)

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns accuracy, precision, recall and F1 (macro)."""
        return classification_metrics(targets, predictions.argmax(axis=1), self.classes, seed)

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths that are lost."""
        labels = (parent.argmax(axis=1), child.argmax(axis=1))
        return paired_drop(targets, *labels, self.classes, metric=metric, seed=seed)

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares labels."""
        same: NDArray[np.bool_] = reference.argmax(axis=1) == found.argmax(axis=1)
        return same

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns probabilities of 0 and 1."""
        plain: Scores = np.eye(self.classes, dtype=np.float32)[targets]
        return plain

    def log_difference(self, reference: Scores, found: Scores) -> float:
        """Compares the probabilities of all labels."""
        return difference_of_logarithms(reference, found)

    def confusion(self, targets: NDArray[Any], predictions: Scores) -> NDArray[np.int64]:
        """Counts true labels × predicted ones."""
        return confusion_matrix(targets, predictions.argmax(axis=1), self.classes)
