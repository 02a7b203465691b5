"""What Lightning trains with, as a recipe sets it up: a task, callbacks, batches and a trainer."""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from maas.config import Part
from maas.data.datamodule import DataModule
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.scoring.names import is_loss, monitored
from maas.training import processes
from maas.training.batch_statistics import BatchStatistics
from maas.training.custom_module import ValidationMetrics, loader_of, with_float32_targets
from maas.training.distilling import DistillationTask, Teacher
from maas.training.heads import TaskHead
from maas.training.objectives import objective_of
from maas.training.precision import keep_targets_
from maas.training.process_launcher import Launcher
from maas.training.progress import EpochBar, EpochListener, History, Vitals, is_alone, is_terminal
from maas.training.recipe import TrainingRecipe, required
from maas.training.resuming import LatestBest, newest_whole
from maas.training.stepping import LeanSteps
from maas.training.task import Task

log = logging.getLogger("maas")


@dataclass(frozen=True)
class TrainingOutcome:
    """How a net was trained: logged values, an entry each epoch, and the epoch whose weights it has, from 0."""

    history: tuple[dict[str, float], ...]
    best_epoch: int


@dataclass(frozen=True)
class Training:
    """A training that is set up, and not begun.

    Args:
        trainer: Lightning's.
        task: what it trains.
        data: batches of it.
        history: collects what is logged.
        keeper: keeps the best epoch.
        folder: holds Lightning's own checkpoints.
    """

    trainer: Trainer
    task: LightningModule
    data: DataModule
    history: History
    keeper: LatestBest
    folder: Path

    @property
    def checkpoint(self) -> Path | None:
        """The newest whole training checkpoint, from which training resumes; None begins it."""
        return newest_whole(self.folder)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Ends a training as a process should end, and its processes with it.

        Raises:
            ConfigError: Lightning refused what trainer and callbacks are to do together.
            ProcessError: another process ended too early.
        """
        try:
            with processes.together():
                yield
        except MisconfigurationException as error:
            said = " ".join(str(error).split())
            raise ConfigError(f"trainer or callbacks were refused by lightning: {said}") from error
        except SIGTERMException as ending:  # it would end the process with status 0
            log.warning("Terminated. Run the same command again and training resumes where it was")
            raise SystemExit(128 + signal.SIGTERM) from ending
        except SystemExit as ending:
            if self.trainer.interrupted:  # Lightning ends the process at ctrl-C, silently
                raise KeyboardInterrupt from ending
            raise

    def outcome(self) -> TrainingOutcome:
        """Gives the net the weights of its best epoch, and returns how it was trained.

        Raises:
            ConfigError: no epoch was validated.
        """
        if not self.keeper.best_model_path:
            raise ConfigError(
                "No epoch was kept: training takes at least one step, and rows to validate on. Look at "
                "trainer.max_epochs, trainer.max_steps, trainer.limit_val_batches and trainer.fast_dev_run."
            )
        best = torch.load(self.keeper.best_model_path, weights_only=False, map_location="cpu")  # our own file
        self.task.load_state_dict(best["state_dict"])
        return TrainingOutcome(tuple(self.history.epochs), int(best["epoch"]))


def training_of(
    recipe: TrainingRecipe,
    net: nn.Module,
    task_head: TaskHead,
    splits: Splits,
    processor: Processor,
    resume_folder: Path,
    listener: EpochListener | None,
    teacher: Teacher | None = None,
) -> Training:
    """Sets a training up.

    Args:
        recipe: what the net is trained by; its model is not used.
        net: model inputs by name to logits (N, K), or a LightningModule, which is trained as it is.
        task_head: what the logits mean.
        splits: clean rows.
        processor: fitted.
        resume_folder: for Lightning's own checkpoints.
        listener: called with each epoch as it ends.
        teacher: model that the net also learns from; None for none.

    Raises:
        ConfigError: a part refused its arguments.
    """
    history = History(listener, lines=is_alone() and not is_terminal())
    task, watching = task_of(recipe, net, task_head, splits.train, teacher)
    keeper = LatestBest(
        dirpath=resume_folder,
        filename="best",
        monitor=monitored(recipe.metric),
        mode="min" if recipe.metric and is_loss(recipe.metric) else "max",
        enable_version_counter=False,
    )
    own = [part.build() for part in recipe.callbacks.values()]
    bars = [EpochBar(leave=True)] if is_terminal() else []
    watching += [BatchStatistics(recipe.batch_size), Vitals()]
    trainer = _trainer(required(recipe.trainer, "trainer"), [*watching, history, keeper, *own, *bars], resume_folder)
    if isinstance(task, Task):
        keep_targets_(trainer)
    else:
        train, validation = with_float32_targets(splits.train), with_float32_targets(splits.validation)
        splits = replace(splits, train=train, validation=validation)
    if trainer.global_rank:
        torch.manual_seed(recipe.seed + trainer.global_rank)  # each process drops and augments by its own chance
    data = DataModule(
        splits,
        processor,
        recipe.batch_size,
        recipe.seed,
        workers=recipe.workers,
        loader=loader_of(net),
        dataset=task_head.dataset,
    )
    return Training(trainer, task, data, history, keeper, resume_folder)


def task_of(
    recipe: TrainingRecipe, net: nn.Module, task_head: TaskHead, train: Split, teacher: Teacher | None = None
) -> tuple[LightningModule, list[Callback]]:
    """Returns what Lightning trains, and the callbacks that it needs.

    Args:
        recipe: what the net is trained by.
        net: a net, or a LightningModule, which is trained as it is.
        task_head: of the recipe's task.
        train: rows whose targets the objective may look at.
        teacher: model that the net also learns from; None for none.
    """
    if isinstance(net, LightningModule):
        log.info("train     %s brings its own objective, optimizer and schedule", type(net).__name__)
        return net, [ValidationMetrics(task_head, recipe.metric)]
    objective = objective_of(required(recipe.objective, "objective").build())
    if train.targets is not None:
        objective.fit(train.targets, task_head.labels)
    is_precomputed = _is_precomputed(teacher, recipe)
    make = partial(DistillationTask, teacher=teacher, is_precomputed=is_precomputed) if teacher else Task
    task = make(
        net,
        task_head,
        objective,
        required(recipe.optimizer, "optimizer").call,
        required(recipe.schedule, "schedule").call,
        augmentation=recipe.augment.build() if recipe.augment else None,
        shown=recipe.metric,
        unit=task_head.loss_unit(objective.loss, train),
    )
    return task, []


def _is_precomputed(teacher: Teacher | None, recipe: TrainingRecipe) -> bool:
    """Whether a teacher's logits are computed once: each epoch shows the same rows, and only logits are compared."""
    return teacher is not None and recipe.augment is None and not teacher.features


def _trainer(part: Part[Trainer], callbacks: Sequence[Callback], folder: Path) -> Trainer:
    own = {
        "logger": False,
        "enable_model_summary": False,
        "enable_progress_bar": is_terminal(),
        "default_root_dir": str(folder),
        "use_distributed_sampler": False,  # our batches are shared by themselves
    }
    listed = [one.build() for one in part.get("callbacks") or []]
    try:
        trainer = replace(part, arguments={**own, **part}).call(callbacks=[*listed, *callbacks])
    except RuntimeError as error:  # of a strategy or a device that is not there
        raise ConfigError(f"trainer was refused by {part.target}: {error}") from error
    trainer.fit_loop.epoch_loop = LeanSteps(trainer)
    strategy: Any = trainer.strategy  # of which no class declares all that its launcher needs
    if isinstance(strategy.launcher, _SubprocessScriptLauncher):
        strategy._launcher = Launcher(strategy.cluster_environment, strategy.num_processes, strategy.num_nodes)  # noqa: SLF001 - as it does itself
    return trainer
