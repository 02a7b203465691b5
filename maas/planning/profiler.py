"""A profiler inside the trainer: it times the real loop, and ends it once it has seen enough."""

import os
import time
from pathlib import Path
from typing import cast

import msgspec
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from maas.data.datamodule import BatchesByLength, Loader
from maas.planning.estimating import Loop, TimedBatch, Watched, is_enough
from maas.training.resuming import TrainingCheckpoints
from maas.training.task import Task


class LoopProfiler(Callback):
    """Times steps, validations and the ends of epochs.

    Args:
        out: where `Watched` is written as JSON.
        seconds: of steps that are enough.
        world: processes that will share the rows; this is one alone.
        validations: of an epoch; this trainer validates once, at its end.
    """

    def __init__(self, out: str, seconds: float, world: int, validations: float) -> None:
        self._out = Path(out)
        self._seconds = seconds
        self._world = world
        self._validations = validations
        self._steps: list[TimedBatch] = []
        self._validated: list[TimedBatch] = []
        self._ends: list[float] = []
        self._begun = self._read = self._ended = self._validated_s = self._timed_s = 0.0
        self._sizes: list[int] = []
        self._validation_sizes: list[int] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts."""
        self._begun = time.perf_counter()
        self._validation_sizes = _batches(trainer.val_dataloaders).sizes()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends the epoch before."""
        self._end_epoch()
        self._sizes = _batches(trainer.train_dataloader).sizes()
        self._read = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Times a step, and ends training where that was enough; a validation follows."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()  # a step is done when the GPU is
        now = time.perf_counter()
        self._steps.append(TimedBatch(self._sizes[batch_idx], now - self._read))
        self._timed_s += now - self._read
        trainer.should_stop = trainer.should_stop or is_enough(len(self._steps), self._timed_s, self._seconds)
        self._ended = self._read = now

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reads the clock before the first batch is made."""
        self._read = time.perf_counter()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Times a batch of a validation, unless it is one that Lightning tries before training."""
        if trainer.sanity_checking:
            return
        now = time.perf_counter()
        self._validated.append(TimedBatch(self._validation_sizes[batch_idx], now - self._read))
        self._validated_s += now - self._read
        self._read = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what was seen."""
        self._end_epoch()
        checkpoint_bytes, checkpoint_s = self._write_checkpoint(trainer)
        _take_largest(trainer, pl_module, max(step.size for step in self._steps))
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        points = [one.every_seconds for one in callbacks if isinstance(one, TrainingCheckpoints)]
        watched = Watched(
            loop=loop_of(trainer, self._world, self._validations),
            steps=tuple(self._steps),
            sizes=tuple(self._sizes[: int(trainer.num_training_batches)]),
            validated=tuple(self._validated),
            validation_size=sum(self._validation_sizes),
            end_s=sum(self._ends) / len(self._ends),
            checkpoint_bytes=checkpoint_bytes,
            checkpoint_s=checkpoint_s,
            every_s=min(points, default=None),
            stops_early=any(isinstance(one, EarlyStopping) for one in callbacks),
            looped_s=time.perf_counter() - self._begun,
        )
        self._out.write_bytes(msgspec.json.encode(watched))

    def _end_epoch(self) -> None:
        if self._ended:
            self._ends.append(time.perf_counter() - self._ended - self._validated_s)
        self._ended = self._validated_s = 0.0

    def _write_checkpoint(self, trainer: Trainer) -> tuple[int, float]:
        """Writes what a training checkpoint holds; returns its bytes and the seconds that took."""
        started, path = time.perf_counter(), self._out.with_suffix(".ckpt")
        trainer.save_checkpoint(path, weights_only=False)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return path.stat().st_size, time.perf_counter() - started


def loop_of(trainer: Trainer, world: int, validations: float) -> Loop:
    """Returns how long a trainer that has begun would train.

    Args:
        trainer: with its training batches.
        world: processes that will share them.
        validations: of an epoch.
    """
    batches = -(-int(trainer.num_training_batches) // world)
    by_epochs = trainer.max_epochs * batches if trainer.max_epochs and trainer.max_epochs > 0 else None
    by_steps = trainer.max_steps * trainer.accumulate_grad_batches if trainer.max_steps > 0 else None
    total = min((bound for bound in (by_epochs, by_steps) if bound is not None), default=None)
    return Loop(batches, None if total is None else -(-total // batches), total, validations)


def _batches(loader: object) -> BatchesByLength:
    """Returns which rows a loader of maas puts together."""
    return cast("BatchesByLength", cast("Loader", loader).sampler)


def _take_largest(trainer: Trainer, module: LightningModule, seen: int) -> None:
    """Takes the epoch's largest batch forth and back where none of its size was met: memory follows the largest."""
    loader = cast("Loader", trainer.train_dataloader)
    sizes = _batches(loader).sizes()
    if not isinstance(module, Task) or max(sizes) <= seen:
        return
    rows = list(_batches(loader))[sizes.index(max(sizes))]
    batch = trainer.strategy.batch_to_device(loader.dataset[rows])
    module.train()
    with torch.enable_grad(), trainer.precision_plugin.train_step_context():
        loss = module.training_step(batch, 0)
    module.zero_grad()
    torch.autograd.backward(loss)
