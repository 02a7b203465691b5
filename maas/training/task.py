"""The LightningModule: it trains a net of any family, and only the net leaves."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.data.augmentation import Augmentation
from maas.data.datamodule import Batch
from maas.training.families import BaseFamily
from maas.training.objectives import Objective
from maas.training.optimizers import optimizer_of


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
    ) -> None:
        super().__init__()
        self.net = net
        self.family = family
        self.objective = objective
        self._make_optimizer = make_optimizer
        self._make_schedule = make_schedule
        self._augmentation = augmentation
        self._shown = f"validation_{shown}"
        self.validation_metrics = family.metrics().clone(prefix="validation_")
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._loss_sum: Tensor
        self._rows_seen: Tensor
        self.register_buffer("_loss_sum", torch.zeros((), dtype=torch.float64))
        self.register_buffer("_rows_seen", torch.zeros((), dtype=torch.int64))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Returns the objective of one batch."""
        feeds, targets = batch
        if self._augmentation is not None:
            feeds = self._augmentation(feeds)
        loss: Tensor = self.objective(*self.family.prepared(self.net(**feeds), targets), self.net)
        self._loss_sum += loss.detach() * len(targets)
        self._rows_seen += len(targets)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's mean loss, and lets a schedule that watches the validation loss see it."""
        self.log("train_loss", (self._loss_sum / self._rows_seen).float(), prog_bar=True)
        self._loss_sum.zero_()
        self._rows_seen.zero_()
        if self._plateau is not None:
            self._plateau.step(float(self.trainer.callback_metrics["validation_loss"]))

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds one batch to the validation loss and metrics."""
        feeds, targets = batch
        logits = self.net(**feeds)
        self.validation_metrics.update(self.family.activated(logits), targets)
        loss = self.objective.loss(*self.family.prepared(logits, targets))
        self.log("validation_loss", loss, on_epoch=True, prog_bar=True, batch_size=len(targets), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation rows."""
        for name, value in self.validation_metrics.compute().items():
            self.log(name, value, prog_bar=name == self._shown)
        self.validation_metrics.reset()

    def configure_optimizers(self) -> Any:
        """Builds the optimizer over all trainable parameters, and its schedule."""
        optimizer = optimizer_of(self.net, self._make_optimizer, self.objective.covered(self.net))
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        if isinstance(schedule, ReduceLROnPlateau):  # Lightning would step it behind the last resume point of an epoch
            self._plateau = schedule
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state of a schedule that Lightning does not know."""
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the state of such a schedule until the schedule is there."""
        self._plateau_state = checkpoint.get("plateau")

    def on_train_start(self) -> None:
        """Gives such a schedule its state."""
        if self._plateau is not None and self._plateau_state:
            self._plateau.load_state_dict(self._plateau_state)
