"""A number."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from maas.data.contents import Target
from maas.data.splits import Split
from maas.runtime.moments import moments
from maas.scoring.values import Value, value_for_numbers
from maas.training.heads.base import TaskHead
from maas.training.metrics import Determination, InFloat64


class RegressionHead(TaskHead):
    """The one logit z stands for the number y = μ + σ·z, in the target's own unit; losses and metrics see y in float64.

    Args:
        labels: none.
        mean: μ; 0 where the net gives the target's own unit.
        deviation: σ; 1 likewise.
    """

    task: ClassVar[str] = "regression"
    postprocessor: ClassVar[str] = "regression"
    target: ClassVar[Target] = "number"

    def __init__(self, labels: tuple[str, ...] = (), mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__(labels)
        self.mean = mean
        self.deviation = deviation

    def standardized(self, train: Split) -> Self:
        """Returns a task head with the training targets' mean and deviation; a deviation of 1 where they are equal."""
        mean, deviation = moments(np.asarray(train.targets, dtype=np.float64))
        return type(self)(self.labels, mean, deviation or 1.0)

    def reading(self, postprocessor: Mapping[str, Any]) -> Self:
        """Returns a task head with an answer's mean and deviation; those of older checkpoints name none."""
        return type(self)(self.labels, postprocessor.get("mean", 0.0), postprocessor.get("deviation", 1.0))

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns that there is one logit, and mean and deviation of the z that training targets stand for."""
        mean, deviation = (0.0, 1.0) if self.is_standardized else moments(np.asarray(train.targets, dtype=np.float64))
        return {"outputs": 1, "target_mean": mean, "target_deviation": deviation or 1.0}

    @property
    def is_standardized(self) -> bool:
        """Whether z is another number than y."""
        return (self.mean, self.deviation) != (0.0, 1.0)

    def units(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the z that targets (N,) stand for."""
        units: NDArray[np.float64] = (targets.astype(np.float64) - self.mean) / self.deviation
        return units

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Names mean and deviation."""
        return {"kind": self.postprocessor, "mean": self.mean, "deviation": self.deviation}

    def metrics(self) -> MetricCollection:
        """Returns R², mean absolute error and root mean squared error."""
        return InFloat64(
            {"r2": Determination(), "mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False)},
        )

    def value_of(self, metric: str) -> Value:
        """Returns what computes a metric of the numbers of all rows."""
        return value_for_numbers(metric)

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float64 (N,) both, in the target's own unit."""
        return self.predicted(logits), targets.double()

    def loss_unit(self, loss: nn.Module, train: Split) -> float:
        """Returns the loss of always answering μ, where targets are standardised: gradients of σ² would leave float32.

        Adam squares them once more, so that it would learn nothing from deviations above 3e9 or below 1e-4.
        """
        if not self.is_standardized:
            return 1.0
        targets = torch.from_numpy(np.asarray(train.targets, dtype=np.float64))
        with torch.no_grad():
            unit = float(loss(*self.prepared(targets.new_zeros(len(targets), 1), targets)))
        return unit if 0 < unit < math.inf else 1.0

    def predicted(self, logits: Tensor) -> Tensor:
        """Returns y, float64 (N,)."""
        return self.mean + self.deviation * logits[:, 0].double()

    def activated(self, logits: Tensor) -> Tensor:
        """Returns z (N,)."""
        return logits[:, 0]
