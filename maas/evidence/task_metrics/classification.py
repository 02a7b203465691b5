"""Labels: accuracy and its kin by the predicted label, ranking and calibration by the probabilities of all."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.metrics import classification_metrics, paired_drop
from maas.evidence.resampling import interval_of_drop, interval_of_estimate
from maas.evidence.task_metrics.base import Scores, TaskMetrics, difference_of_logarithms
from maas.records.evidence import Interval
from maas.runtime.postprocessors.classification import decided
from maas.scoring.labels import confusion_matrix
from maas.scoring.names import METRICS_OF_LABELS, METRICS_OF_PROBABILITIES, is_loss
from maas.scoring.own import OwnMetric, is_own, own_metric
from maas.scoring.probabilities import probability_metric
from maas.scoring.values import given_to


class ClassificationMetrics(TaskMetrics):
    """Reads probabilities (N, K) by the label that the postprocessor predicts, by thresholds where there are any."""

    kind: ClassVar[str] = "classification"
    drop_scale: ClassVar[Mapping[str, float]] = {
        name: -100.0 if is_loss(name) else 100.0 for name in (*METRICS_OF_LABELS, *METRICS_OF_PROBABILITIES)
    }

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns the metrics of labels, of probabilities, and the chosen one where it is another."""
        others = [name for name in self._names if name not in METRICS_OF_LABELS]
        return {
            **classification_metrics(targets, self._labels(predictions), self.classes, seed),
            **{name: self.value(targets, predictions, name, seed) for name in others},
        }

    def of_predictions(self, targets: NDArray[Any], predicted: NDArray[Any], seed: int = 0) -> dict[str, Interval]:
        """Returns the metrics of labels: without probabilities there are no others."""
        return classification_metrics(targets, predicted, self.classes, seed)

    def value(self, targets: NDArray[Any], predictions: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns one metric."""
        if of_probabilities := probability_metric(metric):
            return interval_of_estimate(of_probabilities(targets, predictions))
        if is_own(metric):
            return self.own_value(targets, predictions, metric, seed)
        return classification_metrics(targets, self._labels(predictions), self.classes, seed)[metric]

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths that are lost; of losses, the hundredths that they rise by."""
        if of_probabilities := probability_metric(metric):
            before, after = (of_probabilities(targets, one) for one in (parent, child))
            return interval_of_drop(before, after, self.scale_of(metric))
        if is_own(metric):
            return self.own_drop(targets, parent, child, metric, seed)
        labels = (self._labels(parent), self._labels(child))
        return paired_drop(targets, *labels, self.classes, metric=metric, seed=seed)

    def comparable(self, scores: Scores, metric: str | None) -> Scores:
        """Returns 0 and 1 by the predicted label where there are thresholds and the metric is of labels."""
        is_of_labels = metric is None or (
            metric in METRICS_OF_LABELS or (is_own(metric) and not own_metric(metric).takes_scores)
        )
        return self.as_scores(self._labels(scores)) if self.thresholds and is_of_labels else scores

    def given(self, own: OwnMetric, scores: Scores) -> NDArray[Any]:
        """Returns labels (N,) or probabilities, as the function takes them."""
        return given_to(own, scores, self._labels(scores))

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares labels."""
        same: NDArray[np.bool_] = self._labels(reference) == self._labels(found)
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
        return confusion_matrix(targets, self._labels(predictions), self.classes)

    def _labels(self, probabilities: Scores) -> NDArray[np.int64]:
        """Returns the predicted labels, (N,)."""
        return decided(probabilities, self.thresholds)

    @property
    def _names(self) -> list[str]:
        """All metrics that evidence has, in their order."""
        return list(dict.fromkeys([*self.drop_scale, *filter(None, [self.chosen])]))
