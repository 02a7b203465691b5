"""The LightningModule: it trains a net of any family, and only the net leaves."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.data.augmentation import Augmentation
from maas.data.datamodule import Batch
from maas.training.families import BaseFamily
from maas.training.means import MeanOverRows
from maas.training.objectives import Objective
from maas.training.optimizers import optimizer_of
from maas.training.precision import full_precision, widened


class Task(LightningModule):
    """A net, what it is to minimise, and what is watched meanwhile.

    Args:
        net: feeds by name to logits (N, K).
        family: what the logits and targets mean.
        objective: what is minimised.
        make_optimizer: parameters to optimizer.
        make_schedule: optimizer and number of steps to a learning-rate schedule, stepped every batch.
        augmentation: changes a training batch's feeds at random; None leaves them.
        shown: the metric that the progress bar shows; None for none.
        unit: that the objective is divided by before its gradient is taken; the losses that are logged are not.
    """

    def __init__(
        self,
        net: nn.Module,
        family: BaseFamily,
        objective: Objective,
        make_optimizer: Callable[..., Optimizer],
        make_schedule: Callable[..., Any],
        *,
        augmentation: Augmentation | None = None,
        shown: str | None = None,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.net = net
        self.family = family
        self.objective = objective
        self._make_optimizer = make_optimizer
        self._make_schedule = make_schedule
        self._augmentation = augmentation
        self._shown = f"validation_{shown}"
        self._unit = unit
        self.validation_metrics = family.metrics().clone(prefix="validation_")
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._train_loss = MeanOverRows()
        self._validation_loss = MeanOverRows()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Returns the objective of one batch, in its unit."""
        feeds, targets = batch
        if self._augmentation is not None:
            feeds = self._augmentation(feeds)
        logits, rows = widened(self.net(**feeds)), len(targets)
        weight = rows / self._mean_rows(rows)
        loss = self.loss(feeds, logits, targets, weight)
        self._train_loss.add(loss.detach(), rows / weight)
        return loss / self._unit

    def loss(self, feeds: Mapping[str, Tensor], logits: Tensor, targets: Tensor, weight: float) -> Tensor:
        """Returns what a step minimises.

        Args:
            feeds: what the net was given.
            logits: what it gave, (N, K), at least float32.
            targets: (N,).
            weight: of these rows, which count more or less than those of other processes.
        """
        with full_precision(logits.device):
            loss: Tensor = self.objective(*self.family.prepared(logits, targets), self.net, weight)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's mean loss, and lets a schedule that watches the validation loss see it."""
        self.log("train_loss", self._train_loss.taken(self._summed), prog_bar=True, sync_dist=True)
        if self._plateau is not None:
            self._plateau.step(float(self.trainer.callback_metrics["validation_loss"]))

    @property
    def running_loss(self) -> float | None:
        """The mean loss of the epoch so far, in this process; None before its first step."""
        return self._train_loss.so_far if self._train_loss else None

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds one batch to the validation loss and metrics."""
        feeds, targets = batch
        logits = widened(self.net(**feeds))
        with full_precision(logits.device):
            self.validation_metrics.update(self.family.predicted(logits), targets)
            loss = self.objective.loss(*self.family.prepared(logits, targets))
        self._validation_loss.add(loss, len(targets))

    def on_validation_epoch_end(self) -> None:
        """Logs loss and metrics of all validation rows."""
        self.log("validation_loss", self._validation_loss.taken(self._summed), prog_bar=True, sync_dist=True)
        for name, value in self.validation_metrics.compute().items():
            self.log(name, value, prog_bar=name == self._shown, sync_dist=True)
        self.validation_metrics.reset()

    def _mean_rows(self, rows: int) -> float:
        """Returns how many rows the processes have in this step, on average.

        Gradients are averaged over processes: rows of a process that has few of them would count for more.
        """
        world = self.trainer.world_size
        return rows if world == 1 else float(self._summed(torch.tensor(rows, device=self.device))) / world

    def _summed(self, value: Tensor) -> Tensor:
        """Returns the sum over all processes."""
        total: Tensor = self.trainer.strategy.reduce(value.clone(), reduce_op="sum")
        return total

    def configure_optimizers(self) -> Any:
        """Builds the optimizer over all trainable parameters, and its schedule."""
        optimizer = optimizer_of(self.net, self._make_optimizer, self.objective.covered(self.net))
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        if isinstance(schedule, ReduceLROnPlateau):  # Lightning would step it behind the last resume point of an epoch
            self._plateau = schedule
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the loss so far, and the state of a schedule that Lightning does not know."""
        checkpoint["train_loss"] = self._train_loss.state_dict()
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on with the loss so far, and keeps the schedule's state until the schedule is there."""
        self._train_loss.load_state_dict(checkpoint["train_loss"])
        self._plateau_state = checkpoint.get("plateau")

    def on_train_start(self) -> None:
        """Gives such a schedule its state."""
        if self._plateau is not None and self._plateau_state:
            self._plateau.load_state_dict(self._plateau_state)
