"""One of K labels, by K logits."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection

from maas.data.contents import Target
from maas.data.splits import Split
from maas.scoring.values import Value, value_for_labels
from maas.training.heads.base import TaskHead
from maas.training.metrics import of_labels


class ClassificationHead(TaskHead):
    """Softmax over K logits; the loss is cross-entropy on them."""

    task: ClassVar[str] = "classification"
    postprocessor: ClassVar[str] = "classification"
    target: ClassVar[Target] = "label"

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns K as `outputs`."""
        return {"outputs": len(self.labels)}

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Names the labels."""
        return {"kind": self.postprocessor, "labels": list(self.labels)}

    def metrics(self) -> MetricCollection:
        """Returns accuracy, and macro precision, recall and F1."""
        return of_labels(len(self.labels))

    def value_of(self, metric: str) -> Value:
        """Returns what computes a metric of the probabilities of all rows."""
        return value_for_labels(metric)

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both as they are: (N, K) and int64 (N,)."""
        return logits, targets

    def distance(self, logits: Tensor, taught: Tensor, temperature: float, loss: nn.Module) -> Tensor:
        """Returns T² · KL(teacher ‖ net) of the softened probabilities, averaged over rows.

        Source:
            Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv:1503.02531, §2.
        """
        soft, wanted = (logits / temperature).log_softmax(1), (taught / temperature).log_softmax(1)
        return temperature**2 * functional.kl_div(soft, wanted, reduction="batchmean", log_target=True)

    def label_logits(self, logits: Tensor) -> Tensor:
        """Returns a logit of each label, (N, K), for those of the net."""
        return logits

    def activated(self, logits: Tensor) -> Tensor:
        """Returns probabilities (N, K)."""
        found = self.label_logits(logits)
        return (found if self.temperature == 1 else found * (1 / self.temperature)).softmax(dim=1)
