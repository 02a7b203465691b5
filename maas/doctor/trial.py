"""A trial: the recipe's own training for a few steps, on a net of its own, with all that is worth knowing written down.

The learning rate rises from a fraction to the recipe's peak over the first half and stays there: a range test that ends
at the rate which the recipe asks for (Smith, Cyclical learning rates, arXiv:1506.01186, §3.3).
"""

import math
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from maas.config import RunConfig
from maas.data.datamodule import Batch, BatchesByLength, EncodedRows, Loader
from maas.data.splits import Split
from maas.errors import MaasError
from maas.runtime.processors import BaseProcessor
from maas.training.families import BaseFamily
from maas.training.fitting import task_of
from maas.training.task import Task

FEWEST_STEPS, MOST_STEPS = 4, 10
"""Two steps of rising and two at the peak tell a rate that diverges; ten tell it surely."""
FLOPS = 1e11
"""Work of a trial where that leaves more than the fewest steps: a second or two on one core."""
MOST_ROWS = 2048
"""Rows in a step: of larger batches the rest is left out."""
KEPT = ("deterministic", "gradient_clip_val", "gradient_clip_algorithm", "detect_anomaly")
"""Settings of the recipe's trainer that bear on a step; all others bear on how long and where it runs."""


@dataclass
class Trial:
    """What a few steps told.

    Args:
        steps: that were asked for.
        losses: of each step, before it.
        gradient_norms: of each step, before clipping.
        with_gradient: names of the parameters that got a gradient other than 0 in any step, from the loss itself.
        left_out: names of trainable parameters that no optimizer holds.
        decayed: names of the parameters of at most one axis that an optimizer decays.
        asleep: modules that stay in evaluation mode while others train.
        change: the largest mean change of a parameter in a step, as a share of its length.
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


def tried(
    config: RunConfig,
    net: nn.Module,
    family: BaseFamily,
    train: Split,
    processor: BaseProcessor,
    probe: Mapping[str, Tensor],
) -> Trial:
    """Trains a net for some steps.

    Args:
        config: the recipe.
        net: it is changed.
        family: of the recipe's task.
        train: rows to draw batches from.
        processor: fitted.
        probe: feeds that are answered afterwards.

    Raises:
        MaasError: a part refused its arguments.
    """
    batch_size = min(config.batch_size, len(train), MOST_ROWS)
    trial = Trial(_affordable_steps(net, probe, batch_size))
    if not any(parameter.requires_grad for parameter in net.parameters()):
        return trial
    task, _ = task_of(config, net, family, train)
    rows = EncodedRows(_drawn(train, trial.steps * batch_size, config.seed), processor)
    loader = Loader(rows, BatchesByLength(rows.keys, batch_size, config.seed), workers=0)
    asked = config.trainer or {}
    settings = {name: value for name, value in asked.items() if name in KEPT}
    settings["accelerator"] = "cpu" if asked.get("accelerator") == "cpu" else "auto"
    torch.manual_seed(config.seed)
    trainer = _trainer(settings, _Recorder(trial, net))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            _fit(trainer, task, loader)
        except _Enough:
            pass
        except MaasError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever stops training is what a check wants to know
            trial.error = error
    trial.warned = [str(warning.message) for warning in warned]
    trial.logits = _answer_after(net, probe)
    return trial


def _fit(trainer: Trainer, task: LightningModule, loader: Loader) -> None:
    """Lets a trainer train, and the process end as it is asked to: Lightning would end it with other statuses."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, train_dataloaders=loader)
    except SIGTERMException as ending:
        raise SystemExit(128 + signal.SIGTERM) from ending
    except SystemExit as ending:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, on_interrupt)  # which Lightning ignores from then on
        raise KeyboardInterrupt from ending


def named_net(module: LightningModule) -> nn.Module:
    """Returns the net whose parameters' names a user knows: a `Task` puts `net.` before them."""
    return module.net if isinstance(module, Task) else module


def _trainer(settings: Mapping[str, Any], recorder: Callback) -> Trainer:
    """Returns a trainer in this process alone that writes nothing."""
    return Trainer(
        **settings,
        devices=1,
        max_epochs=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[recorder],
    )


def _drawn(train: Split, count: int, seed: int) -> Split:
    """Returns so many rows in random order, and all of them again where there are fewer."""
    generator = np.random.default_rng(seed)
    rounds = [generator.permutation(len(train)) for _ in range(-(-count // len(train)))]
    return train.picked(np.concatenate(rounds)[:count])


@torch.no_grad()
def _affordable_steps(net: nn.Module, probe: Mapping[str, Tensor], batch_size: int) -> int:
    """Returns how many steps the budget of work allows; forward and backward cost three times the forward."""
    rows = 2
    modes = {module: module.training for module in net.modules()}
    try:
        with FlopCounterMode(display=False) as counter:
            net.eval()(**{name: feed[:rows] for name, feed in probe.items()})
    except Exception:  # noqa: BLE001 - a net that cannot be run says why in its trial
        return FEWEST_STEPS
    finally:
        for module, mode in modes.items():
            module.training = mode
    work = 3 * counter.get_total_flops() * batch_size / rows
    return int(min(max(FLOPS / max(work, 1.0), FEWEST_STEPS), MOST_STEPS))


@torch.no_grad()
def _answer_after(net: nn.Module, probe: Mapping[str, Tensor]) -> Tensor | None:
    try:
        found = net.cpu().eval()(**probe)
    except Exception:  # noqa: BLE001 - likewise
        return None
    return found.float() if isinstance(found, Tensor) else None


class _Enough(Exception):  # noqa: N818 - it says that the trial is over, and is no error
    """Ends a trial before Lightning ends the epoch, whose hooks would look for a validation."""


class _Recorder(Callback):
    """Writes down what happens in each step, and raises the learning rate."""

    def __init__(self, trial: Trial, net: nn.Module) -> None:
        self._trial = trial
        self._net = net
        self._peaks: list[list[float]] = []
        self._before: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the optimizers and at the modules' modes, and keeps the weights."""
        trained = {name: one for name, one in named_net(pl_module).named_parameters() if one.requires_grad}
        self._trial.left_out = list(_left_out(trained, trainer.optimizers))
        self._trial.decayed = list(_decayed(trained, trainer.optimizers))
        self._trial.asleep = list(_asleep(named_net(pl_module)))
        self._peaks = [[_peak(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers]
        self._before = {name: one.detach().clone() for name, one in trained.items()}
        pl_module.training_step = self._watched(pl_module.training_step)  # type: ignore[method-assign]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Sets the rate of this step."""
        share = min(1.0, (batch_idx + 1) / (self._trial.steps / 2))
        for optimizer, peaks in zip(trainer.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * share

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Looks at the gradients."""
        gradients = {
            name: one.grad.detach() for name, one in named_net(pl_module).named_parameters() if one.grad is not None
        }
        norms = {name: float(torch.linalg.vector_norm(gradient.float())) for name, gradient in gradients.items()}
        self._trial.gradient_norms.append(math.hypot(*norms.values()))
        self._trial.with_gradient |= {name for name, norm in norms.items() if norm != 0}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the loss, and ends the trial after its last step."""
        if isinstance(outputs, dict) and isinstance(outputs.get("loss"), Tensor):
            self._trial.losses.append(float(outputs["loss"].float().mean()))
        if batch_idx + 1 >= trainer.num_training_batches:
            if isinstance(pl_module, Task) and pl_module.objective.is_penalised:
                self._trial.with_gradient = _reached_by_loss(pl_module, batch)
            after = dict(named_net(pl_module).named_parameters())
            moved = (_share(self._before[name], after[name].detach()) for name in self._before)
            self._trial.change = max(moved, default=0.0) / (batch_idx + 1)
            raise _Enough

    def _watched(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a training step whose differences are watched the first time."""

        def watched(batch: Any, *more: Any) -> Any:
            if self._trial.losses or not _rows(batch):
                return step(batch, *more)
            with _Differences(_rows(batch)) as differences:
                found = step(batch, *more)
            self._trial.squares = differences.squares
            return found

        return watched


class _Differences(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees whether (N, 1) minus (N,), or the other way round, was silently made (N, N)."""

    def __init__(self, rows: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shapes = {(rows, 1), (rows,)}
        self._rows = rows
        self.squares = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.sub.Tensor and self._rows > 1:
            shapes = {tuple(one.shape) for one in args if isinstance(one, Tensor)}
            self.squares |= shapes == self._shapes
        return func(*args, **(kwargs or {}))


def _reached_by_loss(task: Task, batch: Batch) -> set[str]:
    """Returns the names of the parameters that the loss without penalties has a gradient for."""
    task.zero_grad()
    feeds, targets = batch
    with torch.enable_grad():
        task.objective.loss(*task.family.prepared(task.net(**feeds), targets)).backward()
    return {name for name, one in task.net.named_parameters() if one.grad is not None and bool(one.grad.any())}


def _rows(batch: Any) -> int:
    """Returns N of a batch of feeds and targets."""
    return len(batch[1]) if isinstance(batch, list | tuple) and len(batch) == 2 else 0


def _peak(group: Mapping[str, Any]) -> float:
    """Returns the rate that a schedule may change: torch's schedules keep it under one of these names."""
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))


def _share(before: Tensor, after: Tensor) -> float:
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
