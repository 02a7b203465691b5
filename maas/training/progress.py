"""What a person sees while a net is trained: a bar on a terminal, one line an epoch otherwise, and curves in MLflow."""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Sized
from multiprocessing import current_process
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, RichProgressBar
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from maas.data.datamodule import Loader
from maas.training.precision import WeightedMean
from maas.training.task import Task

log = logging.getLogger("maas")

EpochListener = Callable[[int, dict[str, float]], None]
"""Takes the number of an epoch, from 0, and what was logged in it."""

SAMPLED = 16
"""Of so many steps one has its gradient measured: a norm costs a pass over all weights."""


class History(Checkpoint):
    """Collects what each epoch logged; a resumed run keeps the epochs it has.

    Lightning calls a `Checkpoint` after whatever a module logs at the end of an epoch, and any other callback before.

    Args:
        listener: called with each epoch as it ends, and its pace (`rows_per_second`), which is no part of the history.
        lines: whether each epoch is printed as a line.
    """

    def __init__(self, listener: EpochListener | None = None, *, lines: bool = False) -> None:
        self.epochs: list[dict[str, float]] = []
        self._listener = listener
        self._lines = lines
        self._begun = self._trained = float("nan")
        self._is_validated = False
        self._validated_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the clock: an epoch that is resumed has no pace."""
        self._begun = float("nan")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._begun = time.monotonic()
        self._is_validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes that the epoch has values of its own: Lightning would repeat those of an earlier one."""
        self._is_validated = True
        self._validated_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Reads the clock."""
        self._trained = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the epoch's values, and reports them."""
        values = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._is_validated or not name.startswith("validation_")
        }
        self.epochs.append(values)
        if not trainer.is_global_zero:
            return
        pace = self._pace(trainer)
        if self._listener is not None:
            self._listener(trainer.current_epoch, {**values, **pace})
        if self._lines:
            sys.stdout.write(f"{self._line(trainer, values, pace)}\n")
            sys.stdout.flush()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warns of steps that nothing comes of: a callback may end training after an epoch that is not validated."""
        lost = trainer.global_step - self._validated_step
        if lost and self._validated_step and trainer.is_global_zero:
            log.warning(
                "The last %s steps came after the last validation, and the kept weights are older. Where a callback "
                "ends training, validate every epoch: trainer.check_val_every_n_epoch=1.",
                lost,
            )

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far."""
        return {"epochs": self.epochs, "validated_step": self._validated_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the epochs of an interrupted run."""
        self.epochs = list(state_dict["epochs"])
        self._validated_step = state_dict.get("validated_step", 0)

    def _pace(self, trainer: Trainer) -> dict[str, float]:
        """Returns training rows in a second of training; nothing for an epoch that was resumed."""
        seconds = self._trained - self._begun
        loader = cast("Loader", trainer.train_dataloader)
        fraction = (trainer.fit_loop.batch_idx + 1) / len(loader)  # less than all where the trainer limits its batches
        return {"rows_per_second": fraction * len(cast("Sized", loader.dataset)) / seconds} if seconds > 0 else {}

    def _line(self, trainer: Trainer, values: dict[str, float], pace: dict[str, float]) -> str:
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or -1
        parts = [f"epoch {epoch}/{epochs}" if epochs > 0 else f"epoch {epoch}"]
        parts += [f"{name} {value:.4g}" for name, value in sorted(values.items())]
        if pace:
            seconds = time.monotonic() - self._begun
            left = f", {_duration(seconds * (epochs - epoch))} left" if epochs > epoch else ""
            parts.append(f"({_duration(seconds)}, {pace['rows_per_second']:,.0f} rows/s{left})")
        return "  ".join(parts)


class Vitals(Callback):
    """Logs each epoch's mean length of the gradient, of one in sixteen steps, and the learning rate at its end."""

    def __init__(self) -> None:
        self._norm = WeightedMean()
        self._steps = 0

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measures the gradient as it is before it is clipped."""
        if self._steps % SAMPLED == 0:
            gradients = [one.grad for one in pl_module.parameters() if one.grad is not None]
            self._norm.add(get_total_norm(gradients), 1)
        self._steps += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs both."""
        pl_module.log("learning_rate", trainer.optimizers[0].param_groups[0]["lr"], sync_dist=True)
        if self._norm:
            pl_module.log("gradient_norm", self._norm.taken(torch.clone), sync_dist=True)
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """The gradients measured so far in this epoch."""
        return {"norm": self._norm.state_dict(), "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores them."""
        self._norm.load_state_dict(state_dict["norm"])
        self._steps = state_dict["steps"]


class EpochBar(RichProgressBar):
    """Lightning's bar, with rate and time left, and the epoch's mean loss so far."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Adds the loss, which is not logged at every step."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        if isinstance(pl_module, Task) and trainer.training and (loss := pl_module.running_loss) is not None:
            shown["train_loss"] = f"{loss:.3f}"
        return shown


def is_terminal() -> bool:
    """Whether a bar can be drawn."""
    return sys.stdout.isatty() and is_alone()


def is_alone() -> bool:
    """Whether no other process trains beside this one, whose bars and lines would mingle with its own."""
    return current_process().name == "MainProcess"


def quiet_lightning() -> None:
    """Silences Lightning's advice that does not apply here: batches are made whole, so workers would not help."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings(
        "ignore", message=r".*module\(s\) in eval mode at the start.*"
    )  # frozen ones; the doctor looks


def _duration(seconds: float) -> str:
    """Returns seconds in the unit that suits them."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
