"""Distillation: a net learns from targets and from a teacher that was trained before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.training.precision import full_precision, widened
from maas.training.task import Task


@dataclass(frozen=True)
class Teacher:
    """A trained net, and how much is learnt from it.

    Args:
        net: in evaluation mode; it is not changed.
        weight: share of the teacher in what is minimised, from 0 to 1; the rest is the recipe's own loss.
        temperature: T > 0, that softens probabilities before they are compared.
        features: modules, by name, whose outputs are compared as well.
        features_weight: of that comparison.
    """

    net: nn.Module
    weight: float
    temperature: float
    features: tuple[str, ...] = ()
    features_weight: float = 0.0


class DistillationTask(Task):
    """(1 − w) · loss(logits, targets) + w · distance(logits, teacher's logits) + penalties + w_f · Σ similarity.

    The teacher sees the same rows, augmented alike. Where every epoch shows the same rows, it is asked about all of
    them once, before the first step.

    Args:
        teacher: whom to learn from.
        targets: of all training rows, (N,), where the teacher is to be asked once; batches then hold the numbers of
            rows in place of their targets. None asks it in every step.
        arguments: of `Task`.
    """

    def __init__(self, *arguments: Any, teacher: Teacher, targets: Tensor | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._targets = targets
        self._taught = torch.empty(0)
        self._teacher = teacher  # in a plain object: it is no part of what is trained and kept
        teacher.net.requires_grad_(requires_grad=False).eval()
        self._seen = _watched(self.net, teacher.features)
        self._shown_to_teacher = _watched(teacher.net, teacher.features)

    def on_fit_start(self) -> None:
        """Asks the teacher about all training rows, where it is asked once; a training that goes on asks it again."""
        if self._targets is None:
            return
        rows: Any = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning's, of whatever kind
        answers = [(numbers, self._answered(feeds, self.device)) for numbers, feeds in rows.training_rows()]
        self._targets = self._targets.to(self.device)
        self._taught = answers[0][1].new_empty(len(self._targets), *answers[0][1].shape[1:])
        for numbers, logits in answers:
            self._taught[numbers] = logits

    def _answered(self, feeds: Mapping[str, Tensor], device: torch.device) -> Tensor:
        """Returns the teacher's logits, (N, K)."""
        with torch.no_grad():
            logits: Tensor = self._teacher.net.to(device)(**{name: one.to(device) for name, one in feeds.items()})
        return widened(logits)

    def loss(self, feeds: Mapping[str, Tensor], logits: Tensor, targets: Tensor, weight: float) -> Tensor:
        """Returns what a step minimises."""
        teacher = self._teacher
        if self._targets is None:
            taught = self._answered(feeds, logits.device)
        else:
            taught, targets = self._taught[targets], self._targets[targets]
        loss = super().loss(feeds, logits, targets, weight * (1 - teacher.weight))
        with full_precision(logits.device):
            distance = self.family.distance(logits, taught, teacher.temperature, self.objective.loss)
            loss = loss + weight * teacher.weight * distance
            for name in teacher.features:
                apart = similarity_distance(widened(self._seen[name]), widened(self._shown_to_teacher[name]))
                loss = loss + weight * teacher.features_weight * apart
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

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for name in names:
        net.get_submodule(name).register_forward_hook(keep(name))
    return seen
