"""The LightningModule: it trains a net, and only the net leaves."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassPrecision, MulticlassRecall

from maas.data.datamodule import Batch
from maas.training.objectives import Objective


class Task(LightningModule):
    """Classification of rows into K classes.

    Args:
        net: feeds by name to logits (N, K).
        objective: what is minimised.
        make_optimizer: parameters to optimizer.
        make_schedule: optimizer and number of steps to a learning-rate schedule, stepped every batch.
        classes: K.
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        make_optimizer: Callable[..., Optimizer],
        make_schedule: Callable[..., Any],
        classes: int,
    ) -> None:
        super().__init__()
        self.net = net
        self.objective = objective
        self._make_optimizer = make_optimizer
        self._make_schedule = make_schedule
        self.validation_metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "precision": MulticlassPrecision(classes),
                "recall": MulticlassRecall(classes),
                "f1": MulticlassF1Score(classes),
            },
            prefix="validation_",
        )

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Returns the objective of one batch."""
        feeds, targets = batch
        loss: Tensor = self.objective(self.net(**feeds), targets, self.net)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds one batch to the validation loss and metrics."""
        feeds, targets = batch
        logits = self.net(**feeds)
        self.validation_metrics.update(logits, targets)
        loss = self.objective.loss(logits, targets)
        self.log("validation_loss", loss, on_epoch=True, prog_bar=True, batch_size=len(targets), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation rows."""
        for name, value in self.validation_metrics.compute().items():
            self.log(name, value, prog_bar=name == "validation_accuracy")  # one is enough to watch
        self.validation_metrics.reset()

    def configure_optimizers(self) -> Any:
        """Builds the optimizer over all trainable parameters, and its schedule."""
        optimizer = self._make_optimizer([parameter for parameter in self.net.parameters() if parameter.requires_grad])
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
