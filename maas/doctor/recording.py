"""What is written down in each step of a smoke run.

The learning rate rises from a fraction to the recipe's peak over the first half and stays there: a range test that ends
at the rate of the recipe (Smith, Cyclical learning rates, arXiv:1506.01186, §3.3).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from maas.data.datamodule import Batch
from maas.training.task import Task


@dataclass
class SmokeRun:
    """What a few steps of training showed.

    Args:
        steps: number that was planned.
        losses: of each step, before it.
        gradient_norms: of each step, before clipping.
        with_gradient: names of the parameters that got a gradient other than 0 in any step, from the loss itself.
        left_out: names of trainable parameters that no optimizer holds.
        decayed: names of the parameters of at most one axis that an optimizer decays.
        asleep: modules that stay in evaluation mode while others train.
        change: the largest mean change of a parameter in a step, as a fraction of its length.
        warned: what torch warned of.
        squares: whether (N, 1) met (N,) in a difference.
        logits: what the net gives for the probe afterwards, in evaluation mode.
        error: what stopped it.
    """

    steps: int
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    with_gradient: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    decayed: list[str] = field(default_factory=list)
    asleep: list[str] = field(default_factory=list)
    change: float = math.inf
    warned: list[str] = field(default_factory=list)
    squares: bool = False
    logits: Tensor | None = None
    error: Exception | None = None


class SmokeRunOver(Exception):  # noqa: N818 - a signal that the smoke run is over, no error
    """Ends a smoke run before Lightning ends the epoch, whose hooks would look for a validation."""


class Recorder(Callback):
    """Writes down what happens in each step, and raises the learning rate."""

    def __init__(self, smoke_run: SmokeRun, net: nn.Module) -> None:
        self._smoke_run = smoke_run
        self._net = net
        self._peaks: list[list[float]] = []
        self._before: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the optimizers and at the modules' modes, and keeps the weights."""
        trained = {name: one for name, one in _named_net(pl_module).named_parameters() if one.requires_grad}
        self._smoke_run.left_out = list(_left_out(trained, trainer.optimizers))
        self._smoke_run.decayed = list(_decayed(trained, trainer.optimizers))
        self._smoke_run.asleep = list(_asleep(_named_net(pl_module)))
        self._peaks = [[_peak(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers]
        self._before = {name: one.detach().clone() for name, one in trained.items()}
        pl_module.training_step = self._watched(pl_module.training_step)  # type: ignore[assignment,method-assign]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Sets the rate of this step."""
        fraction = min(1.0, (batch_idx + 1) / (self._smoke_run.steps / 2))
        for optimizer, peaks in zip(trainer.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * fraction

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Looks at the gradients."""
        gradients = {
            name: one.grad.detach() for name, one in _named_net(pl_module).named_parameters() if one.grad is not None
        }
        norms = {name: float(torch.linalg.vector_norm(gradient.float())) for name, gradient in gradients.items()}
        self._smoke_run.gradient_norms.append(math.hypot(*norms.values()))
        self._smoke_run.with_gradient |= {name for name, norm in norms.items() if norm != 0}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Keeps the loss, and ends the smoke run after its last step."""
        if isinstance(outputs, dict) and isinstance(outputs.get("loss"), Tensor):
            self._smoke_run.losses.append(float(outputs["loss"].float().mean()))
        if batch_idx + 1 >= trainer.num_training_batches:
            if isinstance(pl_module, Task) and pl_module.objective.is_penalised:
                self._smoke_run.with_gradient = _reached_by_loss(pl_module, cast("Batch", batch))
            after = dict(_named_net(pl_module).named_parameters())
            moved = (_relative_change(self._before[name], after[name].detach()) for name in self._before)
            self._smoke_run.change = max(moved, default=0.0) / (batch_idx + 1)
            raise SmokeRunOver

    def _watched(self, step: Callable[..., object]) -> Callable[..., object]:
        """Returns a training step whose differences are watched the first time."""

        def watched(batch: object, *more: object) -> object:
            if self._smoke_run.losses or not _rows(batch):
                return step(batch, *more)
            with _Differences(_rows(batch)) as differences:
                found = step(batch, *more)
            self._smoke_run.squares = differences.squares
            return found

        return watched


class _Differences(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees whether (N, 1) minus (N,), or the other way round, was silently made (N, N)."""

    def __init__(self, rows: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shapes = {(rows, 1), (rows,)}
        self._rows = rows
        self.squares = False

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func is torch.ops.aten.sub.Tensor and self._rows > 1:
            shapes = {tuple(one.shape) for one in args if isinstance(one, Tensor)}
            self.squares |= shapes == self._shapes
        return func(*args, **(kwargs or {}))


def _named_net(module: LightningModule) -> nn.Module:
    """Returns the net whose parameters' names a user knows: a `Task` puts `net.` before them."""
    return module.net if isinstance(module, Task) else module


def _reached_by_loss(task: Task, batch: Batch) -> set[str]:
    """Returns the names of the parameters that the loss without penalties has a gradient for."""
    task.zero_grad()
    with torch.enable_grad():
        task.objective.loss(*task.task_head.prepared(task.net(**batch.inputs), batch.targets)).backward()
    return {name for name, one in task.net.named_parameters() if one.grad is not None and bool(one.grad.any())}


def _rows(batch: object) -> int:
    """Returns N of a batch of model inputs and targets, and whatever follows."""
    return len(batch[1]) if isinstance(batch, list | tuple) and len(batch) > 1 else 0


def _peak(group: Mapping[str, Any]) -> float:
    """Returns the rate that a schedule may change: torch's schedules keep it under one of these names."""
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))


def _relative_change(before: Tensor, after: Tensor) -> float:
    """Returns ‖Δθ‖ / ‖θ‖; 0 where θ was 0, as a bias that begins there may stay small."""
    length = float(torch.linalg.vector_norm(before.float()))
    return float(torch.linalg.vector_norm(after.float() - before.float())) / length if length else 0.0


def _left_out(trained: Mapping[str, nn.Parameter], optimizers: Iterable[Optimizer]) -> Iterator[str]:
    held = {id(one) for optimizer in optimizers for group in optimizer.param_groups for one in group["params"]}
    yield from (name for name, one in trained.items() if id(one) not in held)


def _decayed(trained: Mapping[str, nn.Parameter], optimizers: Iterable[Optimizer]) -> Iterator[str]:
    names = {id(one): name for name, one in trained.items()}
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if group.get("weight_decay"):
            yield from (names[id(one)] for one in group["params"] if one.ndim < 2 and id(one) in names)


def _asleep(net: nn.Module) -> Iterator[str]:
    """Yields the topmost modules in evaluation mode that would act otherwise in training; frozen ones are meant."""
    above: list[str] = []
    for name, module in net.named_modules():
        if module.training or any(not one or name.startswith(f"{one}.") for one in above):
            continue
        above.append(name)
        own = list(module.parameters())
        is_frozen = bool(own) and not any(parameter.requires_grad for parameter in own)
        if not is_frozen and any(_acts_in_training(one) for one in module.modules()):
            yield name or type(module).__name__


def _acts_in_training(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) or (isinstance(module, _DropoutNd) and module.p > 0)
