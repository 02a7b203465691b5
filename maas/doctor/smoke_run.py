"""A smoke run: the recipe's own training for a few steps, on a net of its own."""

import signal
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from maas.data.datamodule import BatchesByLength, Loader
from maas.data.splits import Split
from maas.doctor.recording import Recorder, SmokeRun, SmokeRunOver
from maas.errors import MaasError
from maas.runtime.processors import Processor
from maas.training.custom_module import loader_of, with_float32_targets
from maas.training.evaluation import NET_ERRORS
from maas.training.heads import TaskHead
from maas.training.recipe import TrainingRecipe
from maas.training.task import Task
from maas.training.trainers import task_of

FEWEST_STEPS, MOST_STEPS = 4, 40
"""Two steps of rising and two at the peak show a rate that diverges at once; by momentum it may take thirty."""
FLOPS = 5e10
"""Work of a smoke run where that leaves more than the fewest steps: about a second on one core."""
MOST_STEP_ROWS = 2048
"""Rows in a step: of larger batches the rest is left out."""
KEPT_SETTINGS = ("deterministic", "gradient_clip_val", "gradient_clip_algorithm", "detect_anomaly")
"""Settings of the recipe's trainer that bear on a step; all others bear on how long and where it runs."""
STEP_ERRORS: tuple[type[Exception], ...] = (*NET_ERRORS, MisconfigurationException)
"""What torch and Lightning raise where a net, a loss and a batch do not fit; any other error shows its traceback."""


def smoke_run_of(
    recipe: TrainingRecipe,
    net: nn.Module,
    task_head: TaskHead,
    train: Split,
    processor: Processor,
    probe: Mapping[str, Tensor],
) -> SmokeRun:
    """Trains a net for some steps.

    Args:
        recipe: what the net is trained by.
        net: it is changed.
        task_head: of the recipe's task.
        train: rows to draw batches from.
        processor: fitted.
        probe: model inputs that are answered afterwards.

    Raises:
        MaasError: a part refused its arguments.
    """
    batch_size = min(recipe.batch_size, len(train), MOST_STEP_ROWS)
    smoke_run = SmokeRun(_affordable_steps(net, probe, batch_size))
    if not any(parameter.requires_grad for parameter in net.parameters()):
        return smoke_run
    task, _ = task_of(recipe, net, task_head, train)
    wanted = smoke_run.steps * batch_size
    drawn = _drawn(train, wanted, recipe.seed)
    rows = task_head.dataset(drawn if isinstance(task, Task) else with_float32_targets(drawn), processor)
    if len(rows) < wanted:  # several rows share a sequence
        rows = task_head.dataset(_drawn(train, wanted * -(-wanted // len(rows)), recipe.seed), processor)
    loader = loader_of(net)(rows, BatchesByLength(rows.keys, batch_size, recipe.seed), workers=0)
    given = recipe.trainer_settings
    settings = {name: value for name, value in given.items() if name in KEPT_SETTINGS}
    settings["accelerator"] = "cpu" if given.get("accelerator") == "cpu" else "auto"
    torch.manual_seed(recipe.seed)
    trainer = _trainer(settings, smoke_run.steps, Recorder(smoke_run, net))
    smoke_run.error, smoke_run.warned = _fit_watched(trainer, task, loader)
    smoke_run.logits = _outputs_after(net, probe)
    return smoke_run


def _fit_watched(trainer: Trainer, task: LightningModule, loader: Loader) -> tuple[Exception | None, list[str]]:
    """Returns what stopped training before its last step, and what was warned of.

    A user's own module may raise anything where it misses what only the whole training has, which is no bug of it.
    """
    expected = STEP_ERRORS if isinstance(task, Task) else (Exception,)
    stopped: Exception | None = None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            _fit(trainer, task, loader)
        except SmokeRunOver:
            pass
        except MaasError:
            raise
        except expected as error:
            stopped = error
    return stopped, [str(warning.message) for warning in warned]


def _fit(trainer: Trainer, task: LightningModule, loader: Loader) -> None:
    """Lets a trainer train, and a signal end the process as usual: Lightning would end it with other statuses."""
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


def _trainer(settings: Mapping[str, Any], steps: int, recorder: Callback) -> Trainer:
    """Returns a trainer in this process alone that writes nothing.

    Args:
        settings: of the recipe's trainer.
        steps: number of steps at most; a long text makes rows for many more.
        recorder: what looks on.
    """
    return Trainer(
        **settings,
        devices=1,
        max_epochs=1,
        limit_train_batches=steps,
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
            net.eval()(**{name: model_input[:rows] for name, model_input in probe.items()})
    except NET_ERRORS:  # the smoke run reports it
        return FEWEST_STEPS
    finally:
        for module, mode in modes.items():
            module.training = mode
    work = 3 * counter.get_total_flops() * batch_size / rows
    return int(min(max(FLOPS / max(work, 1.0), FEWEST_STEPS), MOST_STEPS))


@torch.no_grad()
def _outputs_after(net: nn.Module, probe: Mapping[str, Tensor]) -> Tensor | None:
    try:
        found = net.cpu().eval()(**probe)
    except NET_ERRORS:
        return None
    return found.float() if isinstance(found, Tensor) else None
