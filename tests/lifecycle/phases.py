"""Which phase a training is in, told by itself to whoever kills it."""

import os

from lightning.pytorch import Callback, LightningModule, Trainer


class Phases(Callback):
    """Adds a letter to a file: t as an epoch begins, v as its validation does, e when training ends.

    It has no hook in a step: steps stay as lean as they are without it.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training."""
        os.write(self._file, b"t")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation."""
        if not trainer.sanity_checking:
            assert trainer.fit_loop.epoch_loop.is_lean, "the steps that users take are not those that are tested"
            os.write(self._file, b"v")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The end."""
        os.write(self._file, b"e")
