"""What validation watches, in float64: torchmetrics would round a share to 1e-7, and a sum over many rows further."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix


class Confusion(MulticlassConfusionMatrix):
    """Counts of (target, prediction) pairs over all rows of all processes, and the metrics that follow from them.

    As in `maas.evidence.metrics`, a mean is one over all K labels; a label without rows or predictions counts as 0.
    """

    def compute(self) -> Any:
        """Returns accuracy, and macro precision, recall and F1, by name."""
        counts = super().compute().double()
        right, of_target, of_prediction = counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)
        return {
            "accuracy": right.sum() / counts.sum(),
            "precision": _shares(right, of_prediction).mean(),
            "recall": _shares(right, of_target).mean(),
            "f1": _shares(2 * right, of_target + of_prediction).mean(),
        }


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


def _shares(part: Tensor, whole: Tensor) -> Tensor:
    """Returns part / whole, and 0 where there is no whole."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 0.0)
