"""A vector, from a net that is taken as it comes."""

from typing import Any, ClassVar

from torch import Tensor
from torchmetrics import MetricCollection

from maas.data.contents import Target
from maas.training.heads.base import TaskHead


class EmbeddingHead(TaskHead):
    """The net gives vectors (N, D); there is nothing to minimise, and nothing after the net."""

    task: ClassVar[str] = "embedding"
    postprocessor: ClassVar[str] = "embedding"
    target: ClassVar[Target] = "none"

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Keeps D."""
        return {"kind": self.postprocessor, "width": width}

    def metrics(self) -> MetricCollection:
        """Returns none."""
        return MetricCollection({})

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both as they are."""
        return logits, targets

    def activated(self, logits: Tensor) -> Tensor:
        """Returns the vectors as they are."""
        return logits
