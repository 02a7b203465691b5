"""The loop over the batches of an epoch: it validates at the end of a training, and leaves out what nobody needs.

Lightning calls hooks in each step that no module or callback has; for a net of a few layers that takes more than half
of the time. The order of things in a step is Lightning's, and so are the weights, bit for bit; whatever is out of the
ordinary takes Lightning's own way.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins import DoublePrecision, MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from maas.data.datamodule import Batch
from maas.training.task import Task

Hook = Callable[..., Any]

STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
SILENT_CALLBACKS = ("maas.", "lightning.pytorch.callbacks.weight_averaging")
"""Where callbacks come from that log nothing in a step: for those that do, Lightning keeps books."""
SKIPPED_HOOKS = (
    *STEP_HOOKS,
    "on_before_batch_transfer",
    "transfer_batch_to_device",
    "on_after_batch_transfer",
    "backward",
    "optimizer_step",
    "optimizer_zero_grad",
    "lr_scheduler_step",
)
"""Methods of a LightningModule that `LeanSteps` does not call."""


class ValidatedEnd(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch; it validates after the last batch of a training in any case.

    Weights are kept where they were validated: steps after the last validation would be lost.
    """

    def __init__(self, trainer: Trainer) -> None:
        replaced = trainer.fit_loop.epoch_loop
        super().__init__(trainer, replaced.min_steps, replaced.max_steps)

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        """Whether a validation comes next."""
        is_due: bool = super()._should_check_val_fx(data_fetcher)
        return is_due or (self.trainer.enable_validation and is_last_batch(self.trainer))


def is_last_batch(trainer: Trainer) -> bool:
    """Whether training ends with the batch that was just trained on.

    Args:
        trainer: Lightning's, in training.
    """
    epochs: Any = trainer.fit_loop  # of whose progress Lightning declares a base that lacks what is used here
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    if trainer.should_stop and epochs._can_stop_early:  # noqa: SLF001 - Lightning has no public word for it
        return True
    is_epoch_end: bool = epochs.epoch_loop._num_ready_batches_reached()  # noqa: SLF001
    return is_epoch_end and epochs.max_epochs != -1 and epochs.epoch_progress.current.processed + 1 >= epochs.max_epochs


class LeanSteps(ValidatedEnd):
    """Lightning's loop over the batches of an epoch, shortened where a step is an ordinary one."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        self._hooks: dict[str, list[Hook]] | None = None

    @property
    def is_lean(self) -> bool:
        """Whether the steps of this epoch are ordinary ones."""
        return self._hooks is not None

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Looks which way the steps of this epoch go."""
        super().on_run_start(data_fetcher)
        self._hooks = _hooks_of(self.trainer) if _is_ordinary(self.trainer) else None

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Trains on one batch."""
        if self._hooks is None or self.restarting:
            super().advance(data_fetcher)
            return
        trainer, progress, hooks = self.trainer, self.batch_progress, self._hooks
        task = cast("Task", trainer.lightning_module)
        batch, _, _ = next(data_fetcher)
        batch_idx = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        batch = trainer.precision_plugin.convert_input(batch)
        if trainer.strategy.root_device.type != "cpu":
            batch = trainer.strategy.batch_to_device(batch)
        progress.increment_ready()
        for hook in hooks["on_train_batch_start"]:
            hook(trainer, task, batch, batch_idx)
        progress.increment_started()
        loss = self._stepped(task, batch, batch_idx, trainer.optimizers[0], hooks)
        progress.increment_processed()
        self._move_rates()
        for hook in hooks["on_train_batch_end"]:
            hook(trainer, task, {"loss": loss}, batch, batch_idx)
        progress.increment_completed()

    def _stepped(
        self, task: Task, batch: Batch, batch_idx: int, optimizer: Optimizer, hooks: dict[str, list[Hook]]
    ) -> Tensor:
        """Takes one step of the optimizer, and returns the loss before it."""
        trainer, progress = self.trainer, self.automatic_optimization.optim_progress.optimizer
        losses: list[Tensor] = []

        def closure() -> Tensor:
            with trainer.precision_plugin.train_step_context():
                loss = task.training_step(batch, batch_idx)
            progress.zero_grad.increment_ready()
            for hook in hooks["on_before_zero_grad"]:
                hook(trainer, task, optimizer)
            progress.zero_grad.increment_started()
            optimizer.zero_grad()
            progress.zero_grad.increment_completed()
            for hook in hooks["on_before_backward"]:
                hook(trainer, task, loss)
            torch.autograd.backward(loss)
            for hook in hooks["on_after_backward"]:
                hook(trainer, task)
            for hook in hooks["on_before_optimizer_step"]:
                hook(trainer, task, optimizer)
            if trainer.gradient_clip_val is not None:
                task.configure_gradient_clipping(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
            losses.append(loss.detach())
            return loss

        progress.step.increment_ready()
        optimizer.step(closure)  # type: ignore[arg-type]  # as all of torch's take it
        progress.step.increment_completed()
        return losses[-1]

    def _move_rates(self) -> None:
        for config in self.trainer.lr_scheduler_configs:
            self.scheduler_progress.increment_ready()
            config.scheduler.step()
            self.scheduler_progress.increment_completed()


def _is_ordinary(trainer: Trainer) -> bool:
    """Whether steps need nothing of Lightning's that `LeanSteps` lacks."""
    return (
        isinstance(trainer.lightning_module, Task)
        and type(trainer.lightning_module).__module__.startswith("maas.")
        and isinstance(trainer.strategy, SingleDeviceStrategy)
        and type(trainer.precision_plugin) in (Precision, MixedPrecision, DoublePrecision)
        and getattr(trainer.precision_plugin, "scaler", None) is None
        and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
        and trainer.accumulate_grad_batches == 1
        and not trainer.loggers
        and len(trainer.optimizers) == 1
        and not trainer.fit_loop._skip_backward  # noqa: SLF001 - callbacks of Lightning's own set it
        and all(one.interval == "step" and one.frequency == 1 for one in trainer.lr_scheduler_configs)
        and not any(name in vars(trainer.lightning_module) for name in SKIPPED_HOOKS)
        and all(type(one).__module__.startswith(SILENT_CALLBACKS) for one in _callbacks(trainer) if _steps(one))
    )


def _hooks_of(trainer: Trainer) -> dict[str, list[Hook]]:
    """Returns what callbacks do in each step, by the name of the hook."""
    return {name: [getattr(one, name) for one in _callbacks(trainer) if _has(one, name)] for name in STEP_HOOKS}


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # which Lightning does not declare
    return callbacks


def _steps(callback: Callback) -> bool:
    return any(_has(callback, name) for name in STEP_HOOKS)


def _has(callback: Callback, name: str) -> bool:
    """Whether a callback defines a hook, by its class or by itself."""
    return getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)
