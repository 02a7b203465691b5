"""Resuming a killed training where it was, so that it ends with the weights it would have had.

A training checkpoint holds all that the rest of a run depends on: weights, optimizer, schedule, scaler, averages,
callbacks, the place in the epoch, and every random state. It is written beside its place and renamed; what a kill
leaves of it counts for nothing.
"""

import logging
import math
import os
import random
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import Tensor, distributed

from maas.bounds import Count, NonNegative
from maas.data.datamodule import Loader
from maas.errors import ConfigError
from maas.training.stepping import is_last_batch

log = logging.getLogger("maas")
PATTERN = "step=*.ckpt"
CLOCK_BATCHES = 16
"""Batches between two looks at the clock where several processes must agree on it."""


class TrainingCheckpoints(Checkpoint):
    """Writes a training checkpoint when one is due, and when the process is terminated (SIGTERM).

    None is written where Lightning could not resume exactly: between the batches whose gradients are summed up for one
    step, right before a validation, and, with `max_steps`, at the end of an epoch.

    Args:
        every_seconds: how much work may be lost, in wall time.
        every_steps: how much work may be lost, in batches; None leaves it to the time alone.
        keep: how many are kept; an older one serves where the newest was damaged.
    """

    def __init__(self, every_seconds: NonNegative = 60.0, every_steps: Count | None = None, keep: Count = 2) -> None:
        self.every_seconds = every_seconds
        self._every_steps = every_steps
        self._keep = keep
        self._saved_at = time.monotonic()
        self._batches = 0
        self._random_states: dict[str, Any] | None = None
        self._loader_state: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock, and takes the batches to their place.

        Lightning would do so, if it had not built the loaders before it restored them (as it does where a schedule
        needs the number of steps).
        """
        self._saved_at = time.monotonic()
        self._batches = 0
        if self._loader_state is not None:
            cast("Loader", trainer.train_dataloader).load_state_dict(self._loader_state)
            self._loader_state = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Brings back the random states of a point that lay between two epochs."""
        self._bring_back()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Brings back the random states of a point that lay within an epoch."""
        self._bring_back()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Writes a point if one is due."""
        self._batches += 1
        done = batch_idx + 1
        is_step = done % trainer.accumulate_grad_batches == 0
        validates_next = done == trainer.num_training_batches or done % (trainer.val_check_batch or math.inf) == 0
        if is_step and not validates_next and not is_last_batch(trainer) and self._is_due(trainer):
            self._write(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes a point if one is due; none where training stops early, as that would be forgotten.

        Nor where the trainer counts steps: Lightning would end the epoch a second time when it is resumed there.
        """
        if not trainer.should_stop and trainer.max_steps == -1 and self._is_due(trainer, at_epoch_end=True):
            self._write(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the place in the epoch, and the random states of every process."""
        checkpoint["loader"] = cast("Loader", trainer.train_dataloader).state_dict()
        states = [random_states()]
        if trainer.world_size > 1:
            states = [{}] * trainer.world_size
            distributed.all_gather_object(states, random_states())
        checkpoint["random_states"] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps place and random states until the loop begins.

        Raises:
            ConfigError: another number of processes wrote the point.
        """
        states = checkpoint["random_states"]
        if len(states) != trainer.world_size:
            raise ConfigError(
                f"The run to resume was trained by {len(states)} processes, and now there are "
                f"{trainer.world_size}. Start as many, or a new run with resume=never."
            )
        self._random_states = states[trainer.global_rank]
        self._loader_state = checkpoint["loader"]

    def _bring_back(self) -> None:
        if self._random_states is not None:
            restore_random_states(self._random_states)
            self._random_states = None

    def _is_due(self, trainer: Trainer, *, at_epoch_end: bool = False) -> bool:
        if self._every_steps is not None and self._batches >= self._every_steps:
            return True
        if trainer.world_size == 1:
            return trainer.received_sigterm or time.monotonic() - self._saved_at >= self.every_seconds
        if self._batches % CLOCK_BATCHES and not at_epoch_end:
            return False
        return bool(trainer.strategy.broadcast(time.monotonic() - self._saved_at >= self.every_seconds))

    def _write(self, trainer: Trainer) -> None:
        folder = Path(trainer.default_root_dir)
        path = folder / f"step={trainer.fit_loop.total_batch_idx + 1:09d}.ckpt"
        draft = path.with_name(f"{path.name}.partial")
        trainer.save_checkpoint(draft, weights_only=False)
        if trainer.is_global_zero:
            if draft.is_file():  # a sharded one is a folder
                with draft.open("rb") as file:
                    os.fsync(file.fileno())
            draft.replace(path)
            killed = folder.glob(f"{PATTERN}.partial")  # drafts of processes that were; this one keeps others out
            for old in [*sorted(folder.glob(PATTERN))[: -self._keep], *killed]:
                _remove(old)
        self._saved_at = time.monotonic()
        self._batches = 0


class LatestBest(ModelCheckpoint):
    """Keeps the best epoch, and of equally good ones the last.

    Few validation rows make ties, and under a falling learning rate the later weights are the better ones.
    """

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Whether an epoch is at least as good as the one that is kept."""
        is_tie = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return is_tie or super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resumes with the best epoch so far, wherever its folder was moved to; Lightning would forget its score."""
        moved = {
            key: self._here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        kept = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": kept, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path


def newest_whole(folder: Path) -> Path | None:
    """Returns the newest training checkpoint whose bytes are all there; damaged ones are passed over with a warning.

    Args:
        folder: where `TrainingCheckpoints` writes.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        if path.is_dir() or _is_whole(path):
            return path
        log.warning("%s is damaged and is passed over", path)
    return None


def random_states() -> dict[str, Any]:
    """Returns the states of the global generators of Python, numpy, torch and CUDA."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - the global one, which libraries draw from
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Sets the global generators to what `random_states` returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint's bytes are those that were written: torch writes zip files, which hold checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
