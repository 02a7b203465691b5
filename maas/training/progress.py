"""What a person sees while a net is trained: a bar on a terminal, one line an epoch elsewhere."""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

EpochListener = Callable[[int, dict[str, float]], None]
"""Takes the number of an epoch, from 0, and what was logged in it."""


class History(Checkpoint):
    """Collects what each epoch logged; a resumed run goes on with the epochs it has.

    Lightning calls a `Checkpoint` after whatever a module logs at the end of an epoch, and any other callback before.

    Args:
        listener: told of each epoch as it ends.
    """

    def __init__(self, listener: EpochListener | None = None) -> None:
        self.epochs: list[dict[str, float]] = []
        self._listener = listener

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the epoch's values."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append(values)
        if self._listener is not None and trainer.is_global_zero:
            self._listener(trainer.current_epoch, values)

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with the epochs of an interrupted run."""
        self.epochs = list(state_dict["epochs"])


class EpochLines(Checkpoint):
    """Prints one line an epoch, for logs."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the epoch's values."""
        if trainer.is_global_zero:
            values = "  ".join(f"{name} {float(value):.4f}" for name, value in sorted(trainer.callback_metrics.items()))
            sys.stdout.write(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {values}\n")
            sys.stdout.flush()


def progress() -> list[Callback]:
    """Returns what shows progress: nothing of our own on a terminal, where Lightning draws its bar."""
    return [] if sys.stdout.isatty() else [EpochLines()]


def quiet() -> None:
    """Silences Lightning's advice that does not apply here: batches are made whole, so workers would not help."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
