"""Channels pruned from a trained net: its tensors become smaller, and so do file and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from maas.bounds import Count, PositiveFraction
from maas.compression.channel_pruning import Importance, PruningScope, prune_, require_installed
from maas.compression.passes.base import PassContext
from maas.compression.training_rows import TRACED_ROWS, net_of, training_batches
from maas.training.checkpoint import Checkpoint
from maas.training.objectives import objective_of
from maas.training.recipe import required
from maas.training.windows import total_weight


@dataclass(frozen=True)
class Prune:
    """Structured pruning by a dependency graph: all layers that share a channel lose it together.

    Args:
        ratio: fraction of the channels to remove.
        importance: `magnitude` of a channel's weights in all layers that share it; `taylor`, the change of the loss on
            training rows; `batch_norm`, the scale after a convolution; `random` for comparison.
        scope: `global` ranks all channels together, `layer` those of each layer.
        max_fraction: largest fraction of its channels that a layer may lose.
        round_to: divisor of the number of channels that is left; null for any number.
        keep: patterns of names of modules that are left as they are; the last layer always is one.
        rows: number of training rows for the loss of `taylor`.

    Source:
        Fang et al., DepGraph, arXiv:2301.12900; Molchanov et al., Importance estimation, arXiv:1906.10771.
    """

    ratio: PositiveFraction = 0.5
    importance: Importance = "magnitude"
    scope: PruningScope = "global"
    max_fraction: PositiveFraction = 0.9
    round_to: Count | None = None
    keep: Sequence[str] = ()
    rows: Count = 512
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises BudgetError where torch-pruning is missing: before anything is trained."""
        require_installed()

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the pruned net; it must be trained further before use."""
        net = net_of(parent)
        model_inputs = next(training_batches(parent, context, TRACED_ROWS)).inputs
        torch.manual_seed(context.seed)
        if self.importance == "taylor":
            self._backward(net, parent, context)
        prune_(
            net,
            model_inputs,
            ratio=self.ratio,
            importance=self.importance,
            scope=self.scope,
            max_fraction=self.max_fraction,
            round_to=self.round_to,
            keep=self.keep,
        )
        return parent.succeeded_by(out, net, rows=context.rows, history=(), best_epoch=0, metrics={})

    def _backward(self, net: nn.Module, parent: Checkpoint, context: PassContext) -> None:
        """Leaves the gradients of the loss of some training rows in the net's parameters."""
        task_head, objective = (
            parent.task_head(),
            objective_of(required(context.training.objective, "objective").build()),
        )
        objective.fit(np.asarray(context.splits.train.targets), task_head.labels)
        for batch in training_batches(parent, context, self.rows):
            loss = objective.loss(*task_head.prepared(net(**batch.inputs), batch.targets))
            torch.autograd.backward(loss * total_weight(objective.loss, batch.targets) / self.rows)
