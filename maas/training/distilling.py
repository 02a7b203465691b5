"""Distillation: a net learns from targets and from a teacher that was trained before it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from maas.data.augmentation import Augmentation
from maas.data.datamodule import Batch
from maas.errors import ConfigError
from maas.training.heads import TaskHead
from maas.training.objectives import Objective
from maas.training.precision import full_precision, widened
from maas.training.task import Task
from maas.training.windows import BatchScale, sees_several_batches


@dataclass(frozen=True)
class Teacher:
    """A trained net to learn from.

    Args:
        net: net in evaluation mode; it is not changed.
        weight: the teacher's fraction of the loss, from 0 to 1; the rest is the recipe's own.
        temperature: T > 0, divisor of the logits before probabilities are compared.
        features: names of modules whose outputs are compared as well.
        features_weight: weight of that comparison in the loss.
    """

    net: nn.Module
    weight: float
    temperature: float
    features: tuple[str, ...] = ()
    features_weight: float = 0.0


class TrainingRows(Protocol):
    """A data module with rows that are always the same."""

    def training_rows(self) -> Iterator[Batch]:
        """Yields all training rows once, batch by batch."""


class DistillationTask(Task):
    """(1 − w) · loss(logits, targets) + w · distance(logits, teacher's logits) + penalties + w_f · Σ similarity.

    The teacher sees the same rows, augmented alike. Where every epoch has the same rows, its logits of all of them are
    computed once, before the first step.

    Args:
        net, task_head, objective, make_optimizer, make_schedule, augmentation, shown, unit: as `Task` takes them.
        teacher: net to learn from.
        is_precomputed: whether the teacher's logits are computed before the first step, and not in every step.
    """

    def __init__(
        self,
        net: nn.Module,
        task_head: TaskHead,
        objective: Objective,
        make_optimizer: Callable[..., Optimizer],
        make_schedule: Callable[..., Any],
        *,
        teacher: Teacher,
        is_precomputed: bool = False,
        augmentation: Augmentation | None = None,
        shown: str | None = None,
        unit: float = 1.0,
    ) -> None:
        super().__init__(
            net, task_head, objective, make_optimizer, make_schedule, augmentation=augmentation, shown=shown, unit=unit
        )
        self._is_precomputed = is_precomputed
        self._taught = torch.empty(0)
        self._teacher = teacher  # in a plain object: it is no part of what is trained and kept
        teacher.net.requires_grad_(requires_grad=False).eval()
        self._seen = _watched(self.net, teacher.features)
        self._shown_to_teacher = _watched(teacher.net, teacher.features)

    def on_fit_start(self) -> None:
        """Computes the teacher's logits of all training rows, where every epoch has the same; again when resumed.

        Raises:
            ConfigError: what a row weighs depends on the teacher, and a step would have to know of other batches' rows.
        """
        self._require_known_weights()
        if not self._is_precomputed:
            return
        module = cast("TrainingRows", self.trainer.datamodule)  # type: ignore[attr-defined]  # Lightning's
        taught = [(batch.rows, self._teachers_logits(batch, self.device)) for batch in module.training_rows()]
        first = taught[0][1]
        self._taught = first.new_empty(sum(len(rows) for rows, _ in taught), *first.shape[1:])
        for rows, logits in taught:
            self._taught[rows] = logits

    def _require_known_weights(self) -> None:
        is_by_loss = type(self.task_head).distance is TaskHead.distance
        if is_by_loss and hasattr(self.objective.loss, "total_weight") and sees_several_batches(self.trainer):
            raise ConfigError(
                f"{type(self.objective.loss).__name__} weighs rows by their targets, in distillation by the teacher's "
                "predictions too, and those of a step's other batches are not known. Train in one process, with "
                "trainer.accumulate_grad_batches=1."
            )

    def _teachers_logits(self, batch: Batch, device: torch.device) -> Tensor:
        """Returns the teacher's logits, (N, K), in the teacher's own precision."""
        teacher = self._teacher.net.to(device)
        own = next((one.dtype for one in teacher.parameters()), torch.float32)
        model_inputs = {
            name: one.to(device, own if one.is_floating_point() else None) for name, one in batch.inputs.items()
        }
        with torch.no_grad():
            logits: Tensor = teacher(**model_inputs)
        return widened(logits)

    def loss(self, batch: Batch, logits: Tensor, scale: BatchScale) -> Tensor:
        """Returns what a step minimises."""
        teacher = self._teacher
        taught = self._taught[batch.rows] if self._is_precomputed else self._teachers_logits(batch, logits.device)
        loss = super().loss(batch, logits, replace(scale, weight=scale.weight * (1 - teacher.weight)))
        with full_precision(logits.device):
            distance = self.task_head.distance(logits, taught, teacher.temperature, self.objective.loss)
            loss = loss + scale.rows * teacher.weight * distance
            for name in teacher.features:
                apart = similarity_distance(widened(self._seen[name]), widened(self._shown_to_teacher[name]))
                loss = loss + scale.rows * teacher.features_weight * apart
        return loss


def similarity_distance(features: Tensor, taught: Tensor) -> Tensor:
    """Compares which rows of a batch look alike to a layer and to the teacher's; their widths may differ.

    Args:
        features: (N, …).
        taught: (N, …).

    Returns:
        A scalar: ‖G − G'‖² / N² of the matrices of inner products, rows scaled to length 1.

    Source:
        Tung and Mori, Similarity-preserving knowledge distillation, arXiv:1907.09682, eq. 1 to 4.
    """
    return (_similarities(features) - _similarities(taught)).square().mean()


def _similarities(features: Tensor) -> Tensor:
    rows = features.flatten(1)
    return functional.normalize(rows @ rows.T, dim=1)


def _watched(net: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """Returns a dictionary in which each named module's newest output will lie."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for name in names:
        net.get_submodule(name).register_forward_hook(keep(name))
    return seen
