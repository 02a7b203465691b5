"""The LightningModule: it trains a net for any task, and only the net leaves."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.data.augmentation import Augmentation
from maas.data.datamodule import Batch
from maas.scoring.names import monitored
from maas.training.heads import TaskHead
from maas.training.objectives import Objective
from maas.training.optimizers import optimizer_of
from maas.training.precision import WeightedMean, full_precision, widened
from maas.training.windows import BatchScale, batch_scale_of, total_weight, window_of


class Task(LightningModule):
    """A net, what it is to minimise, and what is watched meanwhile.

    Args:
        net: model inputs by name to logits (N, K).
        task_head: what the logits and targets mean.
        objective: what is minimised.
        make_optimizer: parameters to optimizer.
        make_schedule: optimizer and number of steps to a learning-rate schedule, stepped every batch.
        augmentation: changes a training batch's model inputs at random; None leaves them.
        shown: the metric that the progress bar shows; None for none.
        unit: that the objective is divided by before its gradient is taken; the losses that are logged are not.
    """

    def __init__(
        self,
        net: nn.Module,
        task_head: TaskHead,
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
        self.task_head = task_head
        self.objective = objective
        self._make_optimizer = make_optimizer
        self._make_schedule = make_schedule
        self._augmentation = augmentation
        self._shown = monitored(shown)
        self._unit = unit
        self.validation_metrics = task_head.watched(shown)
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._unseen_loss: float | None = None  # of a validation that no schedule knows of yet
        self._train_loss = WeightedMean()
        self._validation_loss = WeightedMean()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the objective of one batch, as much of it as its step counts, in its unit."""
        if self._augmentation is not None:
            batch = batch._replace(inputs=self._augmentation(batch.inputs))
        logits = widened(self.net(**batch.inputs))
        scale = batch_scale_of(self.objective.loss, batch.targets, window_of(self.trainer, batch_idx))
        loss = self.loss(batch, logits, scale)
        self._train_loss.add(loss.detach() / scale.penalty, scale.step_weight)
        return loss / self._unit

    def loss(self, batch: Batch, logits: Tensor, scale: BatchScale) -> Tensor:
        """Returns what a step minimises.

        Args:
            batch: what the net was given, and the targets.
            logits: what it gave, (N, K), at least float32.
            scale: what the batch counts in its step.
        """
        with full_precision(logits.device):
            loss: Tensor = self.objective(*self.task_head.prepared(logits, batch.targets), self.net, scale)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's mean loss, and lets a schedule see the validation loss, if there is a new one."""
        self.log("train_loss", self._train_loss.taken(self._summed), prog_bar=True, sync_dist=True)
        if self._plateau is not None and self._unseen_loss is not None:
            self._plateau.step(self._unseen_loss)
            self._unseen_loss = None

    @property
    def running_loss(self) -> float | None:
        """The mean loss of the epoch so far, in this process; None before its first step."""
        return self._train_loss.so_far if self._train_loss else None

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds one batch to the validation loss and metrics."""
        logits, weight = widened(self.net(**batch.inputs)), total_weight(self.objective.loss, batch.targets)
        with full_precision(logits.device):
            self.validation_metrics.update(self.task_head.predicted(logits), batch.targets)
            if weight:
                loss = self.objective.loss(*self.task_head.prepared(logits, batch.targets))
                self._validation_loss.add(loss, weight)

    def on_validation_epoch_end(self) -> None:
        """Logs loss and metrics of all validation rows."""
        loss = self._validation_loss.taken(self._summed)
        self.log("validation_loss", loss, prog_bar=True, sync_dist=True)
        if not self.trainer.sanity_checking:  # its few rows may lack what a metric needs
            self._unseen_loss = float(loss)
            for name, value in self.validation_metrics.compute().items():
                self.log(name, value, prog_bar=name == self._shown, sync_dist=True)
        self.validation_metrics.reset()

    def _summed(self, value: Tensor) -> Tensor:
        """Returns the sum over all processes."""
        total: Tensor = self.trainer.strategy.reduce(value.clone(), reduce_op="sum")
        return total

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds the optimizer over all trainable parameters, and its schedule."""
        optimizer = optimizer_of(self.net, self._make_optimizer, self.objective.covered(self.net))
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        if isinstance(
            schedule, ReduceLROnPlateau
        ):  # Lightning would step it after the last training checkpoint of an epoch
            self._plateau = schedule
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the loss so far, and the state of a schedule that Lightning does not know."""
        checkpoint["train_loss"] = self._train_loss.state_dict()
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()
            checkpoint["unseen_loss"] = self._unseen_loss

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the loss so far, and keeps the schedule's state until the schedule is there."""
        self._train_loss.load_state_dict(checkpoint["train_loss"])
        self._plateau_state = checkpoint.get("plateau")
        self._unseen_loss = checkpoint.get("unseen_loss")

    def on_train_start(self) -> None:
        """Gives such a schedule its state."""
        if self._plateau is not None and self._plateau_state:
            self._plateau.load_state_dict(self._plateau_state)
