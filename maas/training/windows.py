"""What a batch counts among all that one step of the optimizer sees: every process's batches, accumulated ones too.

A loss is a mean Σ w_i l_i / Σ w_i over the rows of one batch. A step minimises that mean over all its rows, and not the
mean of the batches' means, in which rows of small or lightly weighted batches would count more. Nothing is exchanged
for that: every process knows which rows the others take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn import functional

from maas.data.datamodule import Loader
from maas.data.packing import NO_TARGET


@dataclass(frozen=True)
class BatchScale:
    """What the terms of a batch's objective are multiplied by, so that the step's gradient is that of one mean.

    Args:
        weight: of the recipe's loss, a mean over weights of rows.
        rows: of means over rows.
        penalty: of what counts once a step.
        step_weight: Σ weights of the step, divided by its batches.
    """

    weight: float
    rows: float
    penalty: float
    step_weight: float


WHOLE_STEP = BatchScale(1.0, 1.0, 1.0, 1.0)
"""Of a batch that is all its step sees."""


@dataclass(frozen=True)
class Window:
    """All that one step sees.

    Args:
        targets: of its rows in all processes and batches, (M,), or (M, T) of texts.
        batches: in how many batches they come, all processes' together.
        divisor: the number that the sum of these batches' gradients is divided by, whoever does it.
    """

    targets: Tensor
    batches: int
    divisor: int

    def scale(self, loss: nn.Module, targets: Tensor) -> BatchScale:
        """Returns what one of its batches counts.

        Args:
            loss: of the recipe.
            targets: of the batch, (N,).
        """
        total = total_weight(loss, self.targets.to(targets.device))
        weight = self.divisor * total_weight(loss, targets) / total if total else 0.0
        rows = self.divisor * len(targets) / len(self.targets)
        return BatchScale(weight, rows, self.divisor / self.batches, total / self.batches)


def batch_scale_of(loss: nn.Module, targets: Tensor, window: Window | None) -> BatchScale:
    """Returns what a batch counts in its window; None stands for a step that sees no other batch."""
    if window is not None:
        return window.scale(loss, targets)
    total = total_weight(loss, targets)
    return BatchScale(1.0 if total else 0.0, 1.0, 1.0, total)


def window_of(trainer: Trainer, batch_idx: int) -> Window | None:
    """Returns all that the step sees which a batch belongs to; None where that is the batch alone.

    Args:
        trainer: Lightning's, in training, whose batches come from a `Loader`.
        batch_idx: the batch's number in the epoch.
    """
    if not sees_several_batches(trainer):
        return None
    accumulated, world = trainer.accumulate_grad_batches, trainer.world_size
    first = batch_idx - batch_idx % accumulated
    last = min(first + accumulated, int(trainer.num_training_batches))  # an epoch's last window may be short
    seen = cast("Loader", trainer.train_dataloader).targets_together(first, last)
    return Window(_joined(seen), len(seen) * world, accumulated * world)


def _joined(seen: Sequence[Tensor]) -> Tensor:
    """Returns the targets of several batches, (M,), or (M, T) of texts that are not equally long in all of them."""
    if seen[0].ndim == 1:
        return torch.cat(tuple(seen))
    longest = max(one.shape[1] for one in seen)
    return torch.cat([functional.pad(one, (0, longest - one.shape[1]), value=NO_TARGET) for one in seen])


def sees_several_batches(trainer: Trainer) -> bool:
    """Whether a step sees more than one batch: of several processes, or accumulated."""
    return bool(trainer.accumulate_grad_batches > 1 or trainer.world_size > 1)


def total_weight(loss: nn.Module, targets: Tensor) -> float:
    """Returns Σ w of some rows: what a loss divides by where it takes their mean.

    Args:
        loss: with a method `total_weight(targets)`, or one of torch's; of any other, every row weighs 1.
        targets: (N,).

    Source:
        torch.nn.CrossEntropyLoss and NLLLoss: the mean is over Σ weight[target], without targets of `ignore_index`.
    """
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss):
        counted = targets[targets != loss.ignore_index]
        return float(len(counted)) if loss.weight is None else float(loss.weight.double()[counted].sum())
    own = getattr(loss, "total_weight", None)
    return float(len(targets)) if own is None else float(own(targets))
