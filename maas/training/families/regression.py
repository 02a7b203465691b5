"""A number."""

from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from maas.data.contents import Target
from maas.data.splits import Split
from maas.training.families.base import BaseFamily
from maas.training.metrics import InFloat64


class Family(BaseFamily):
    """The one logit is the number, in the target's own unit; the loss is the squared error, or any other on numbers."""

    task: ClassVar[str] = "regression"
    answer: ClassVar[str] = "regression"
    target: ClassVar[Target] = "number"

    def facts(self, train: Split) -> dict[str, Any]:
        """Tells that there is one logit, and where the training targets lie, so that a net can work around 0."""
        targets = np.asarray(train.targets, dtype=np.float64)
        deviation = float(targets.std())
        return {"outputs": 1, "target_mean": float(targets.mean()), "target_deviation": deviation or 1.0}

    def answer_record(self, width: int) -> dict[str, Any]:
        """Needs no settings."""
        return {"kind": self.answer}

    def metrics(self) -> MetricCollection:
        """Returns R², mean absolute error and root mean squared error."""
        return InFloat64(
            {"r2": R2Score(), "mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False)}, compute_groups=False
        )

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float (N,) both."""
        return logits[:, 0], targets.to(logits.dtype)

    def activated(self, logits: Tensor) -> Tensor:
        """Returns values (N,)."""
        return logits[:, 0]
