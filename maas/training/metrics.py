"""What validation watches, in float64: torchmetrics would round a share to 1e-7, and a sum over many rows further."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix


class OfConfusion(MulticlassConfusionMatrix):
    """A metric that follows from the counts of (target, prediction) pairs over all rows of all processes.

    As in `maas.evidence.metrics`, a mean is one over all K labels; a label without rows or predictions counts as 0.

    Args:
        classes: K.
        value: counts (K, K), targets × predictions, to a scalar.
    """

    def __init__(self, classes: int, value: Callable[[Tensor], Tensor]) -> None:
        super().__init__(classes)
        self._value = value

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        return self._value(super().compute().double())


class InFloat64(MetricCollection):
    """Metrics of numbers, whose sums are kept in float64."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.set_dtype(torch.float64)

    def update(self, predictions: Tensor, targets: Tensor) -> None:  # type: ignore[override]
        """Adds a batch.

        Args:
            predictions: (N,).
            targets: (N,).
        """
        super().update(predictions.double(), targets.double())


def of_labels(classes: int) -> MetricCollection:
    """Returns accuracy, and macro precision, recall and F1; they share their counts."""
    values = {"accuracy": _accuracy, "precision": _precision, "recall": _recall, "f1": _f1}
    return MetricCollection({name: OfConfusion(classes, value) for name, value in values.items()})


def _accuracy(counts: Tensor) -> Tensor:
    return counts.diagonal().sum() / counts.sum()


def _precision(counts: Tensor) -> Tensor:
    return _mean_share(counts.diagonal(), counts.sum(dim=0))


def _recall(counts: Tensor) -> Tensor:
    return _mean_share(counts.diagonal(), counts.sum(dim=1))


def _f1(counts: Tensor) -> Tensor:
    return _mean_share(2 * counts.diagonal(), counts.sum(dim=0) + counts.sum(dim=1))


def _mean_share(part: Tensor, whole: Tensor) -> Tensor:
    """Returns the mean of part / whole, which is 0 where there is no whole."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 0.0).mean()
