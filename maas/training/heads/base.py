"""What every task head can do."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torchmetrics import MetricCollection

from maas.data.contents import SplitTarget
from maas.data.datamodule import BatchDataset, BatchSource
from maas.data.splits import Split
from maas.runtime.processors import Processor
from maas.scoring.names import VALIDATION_PREFIX, logged_name
from maas.scoring.values import Value
from maas.training.metrics import OverRows


class TaskHead(ABC):
    """Between a net's logits and its predictions.

    Args:
        labels: the K names; none where targets are no labels.
    """

    task: ClassVar[str]
    postprocessor: ClassVar[str]
    """The kind of prediction that its graphs give; empty where they generate texts."""
    target: ClassVar[SplitTarget]
    """What its rows must carry."""
    axes: ClassVar[int] = 2
    """Of its logits: those of a row, (N, K), or of each of its frames, (N, F, K)."""

    temperature: float = 1.0
    """What logits of labels are divided by before they become probabilities."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns what gives a split's batches: a row for each of its rows."""
        return BatchDataset(split, processor)

    def standardized(self, train: Split) -> Self:
        """Returns a task head whose net learns numbers in units of their deviation around their mean; labels stay."""
        return self

    def reading(self, postprocessor: Mapping[str, Any]) -> Self:
        """Returns the task head whose nets' outputs an answer of these settings reads."""
        return self

    def calibrated(self, temperature: float) -> Self:
        """Returns a task head that divides logits of labels by a temperature."""
        found = copy.copy(self)
        found.temperature = temperature
        return found

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns what a net may want to know of the targets, by parameter name (e.g. `outputs`)."""
        return {}

    @abstractmethod
    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Returns kind and settings of the postprocessor.

        Args:
            width: K, the plain numbers of a row.
        """

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Returns the metrics that validation always watches; they take what `predicted` returns, and targets."""

    def value_of(self, metric: str) -> Value | None:
        """Returns what computes another metric of all validation rows; None where the task has no others."""
        return None

    def watched(self, metric: str | None) -> MetricCollection:
        """Returns the metrics that validation watches, by the names under which they are logged.

        Args:
            metric: of the recipe, which is among them; None for no other.
        """
        found = self.metrics()
        value = self.value_of(metric) if metric is not None and metric not in found else None
        if value is not None:
            found.add_metrics({logged_name(str(metric)): OverRows(value)})
        return found.clone(prefix=VALIDATION_PREFIX)

    @abstractmethod
    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits and targets in the shapes, types and unit that a loss of this task takes.

        Args:
            logits: (N, K), at least float32.
            targets: (N,), as a split holds them.
        """

    def loss_unit(self, loss: nn.Module, train: Split) -> float:
        """Returns what an objective is divided by before its gradient is taken.

        Args:
            loss: of the recipe, which has seen the training targets.
            train: training rows.
        """
        return 1.0

    def distance(self, logits: Tensor, taught: Tensor, temperature: float, loss: nn.Module) -> Tensor:
        """Returns how far logits (N, K) lie from a teacher's: the recipe's loss, with the teacher's outputs as targets.

        Args:
            logits: of the net that learns.
            taught: of its teacher, (N, K).
            temperature: that softens probabilities before they are compared.
            loss: of the recipe.
        """
        distance: Tensor = loss(*self.prepared(logits, self.predicted(taught)))
        return distance

    def answered(self, net: nn.Module, model_inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the graph's output for model inputs by name, as the exported graph computes it."""
        return self.activated(net(**model_inputs))

    def predicted(self, logits: Tensor) -> Tensor:
        """Returns for logits (N, K) what the answer makes of the graph's output: probabilities, or targets' numbers."""
        return self.activated(logits)

    @abstractmethod
    def activated(self, logits: Tensor) -> Tensor:
        """Returns the graph's output for logits (N, K)."""
