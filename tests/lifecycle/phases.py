"""Which phase a training is in, told by itself to whoever kills it."""

import os
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class Phases(Callback):
    """Keeps one letter in a file: t while an epoch is trained, v from its validation on, e when training ends.

    It has no hook in a step: steps stay as lean as they are without it.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        Path(path).touch()
        self._file = os.open(path, os.O_RDWR)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training."""
        os.pwrite(self._file, b"t", 0)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation."""
        if not trainer.sanity_checking:
            assert trainer.fit_loop.epoch_loop.is_lean, "the steps that users take are not those that are tested"
            os.pwrite(self._file, b"v", 0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The end."""
        os.pwrite(self._file, b"e", 0)
