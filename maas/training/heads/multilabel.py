"""A set of K labels, by K logits."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection

from maas.data.contents import Target
from maas.data.splits import Split
from maas.scoring.values import Value, value_for_sets
from maas.training.heads.base import TaskHead
from maas.training.metrics import OverRows

WATCHED = ("macro_f1", "micro_f1", "subset_accuracy")
"""Metrics that validation always watches."""


class MultilabelHead(TaskHead):
    """σ(z) of each of K logits; the loss is binary cross-entropy on each."""

    task: ClassVar[str] = "multilabel"
    postprocessor: ClassVar[str] = "multilabel"
    target: ClassVar[Target] = "labels"

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns K as `outputs`."""
        return {"outputs": len(self.labels)}

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Names the labels."""
        return {"kind": self.postprocessor, "labels": list(self.labels)}

    def metrics(self) -> MetricCollection:
        """Returns F1 over labels and over all pairs of row and label, and the fraction of rows that are right."""
        return MetricCollection({name: OverRows(value_for_sets(name)) for name in WATCHED})

    def value_of(self, metric: str) -> Value:
        """Returns what computes a metric of the probabilities of all rows."""
        return value_for_sets(metric)

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float (N, K) both."""
        return logits, targets.to(logits.dtype)

    def distance(self, logits: Tensor, taught: Tensor, temperature: float, loss: nn.Module) -> Tensor:
        """Returns T² · the binary cross-entropy of the softened probabilities, averaged over rows and labels.

        Source:
            Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv:1503.02531, §2.
        """
        wanted = (taught / temperature).sigmoid()
        return temperature**2 * functional.binary_cross_entropy_with_logits(logits / temperature, wanted)

    def activated(self, logits: Tensor) -> Tensor:
        """Returns probabilities (N, K): a softmax of −z/2 and z/2 keeps both tails, which a Sigmoid may lose."""
        return torch.stack([-logits, logits], dim=2).mul(0.5).softmax(dim=2)[:, :, 1]
