"""Fitting: from a recipe and its rows to a checkpoint, resumable after any interruption."""

import logging
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from maas.config import Part
from maas.data.datamodule import DataModule
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.importing.base import ImportedModel
from maas.runtime.processors import Processor
from maas.training import processes
from maas.training.batch_statistics import BatchStatistics
from maas.training.callbacks import require_usable
from maas.training.checkpoint import NetRecord
from maas.training.custom_module import ValidationMetrics, loader_of, with_float32_targets
from maas.training.distilling import DistillationTask, Teacher
from maas.training.heads import TaskHead
from maas.training.launching import Launcher
from maas.training.nets import built, finished, resolve_net, types_of
from maas.training.objectives import objective_of
from maas.training.output_check import require_sound_outputs
from maas.training.precision import keep_targets_
from maas.training.progress import EpochBar, EpochListener, History, Vitals, is_alone, is_terminal, quiet_lightning
from maas.training.recipe import TrainingRecipe, required
from maas.training.resuming import LatestBest, newest_whole
from maas.training.scales import require_unit, task_head_for
from maas.training.stepping import LeanSteps
from maas.training.task import Task

log = logging.getLogger("maas")


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Args:
        model: a net with the weights of the best epoch, in evaluation mode, or an imported model.
        net_record: how to build it again.
        task_head: what its outputs mean.
        history: logged values, an entry each epoch; none where nothing was trained here.
        best_epoch: from 0.
    """

    model: nn.Module | ImportedModel
    net_record: NetRecord
    task_head: TaskHead
    history: tuple[dict[str, float], ...] = ()
    best_epoch: int = 0


def fit(
    recipe: TrainingRecipe,
    splits: Splits,
    processor: Processor,
    resume_folder: Path,
    listener: EpochListener | None = None,
) -> Fitted:
    """Trains the recipe's net and returns its best epoch by the recipe's metric on validation data.

    A recipe without a trainer takes its model as it comes; an imported one may learn by its own means.

    Args:
        recipe: what the net is trained by.
        splits: clean rows; test rows are not touched.
        processor: fitted on the training rows.
        resume_folder: holds Lightning's own checkpoints; if there is one, training resumes from it.
        listener: called with each epoch as it ends.

    Raises:
        ConfigError: a part refused its arguments, the rows carry other targets than the task learns, or a net that is
            not trained gives outputs that nothing can be made of.
    """
    quiet_lightning()
    seed_everything(recipe.seed, workers=True, verbose=False)
    task_head = task_head_for(recipe, splits)
    record = resolve_net(recipe.model, {**task_head.facts(splits.train), **processor.net_arguments})
    model = built(record, processor)
    require_unit(recipe, model)
    if isinstance(model, ImportedModel):
        return Fitted(model.fit(splits, processor), record, task_head)
    if recipe.trainer is None:
        model, record = finished(model, record, types_of(model))
        require_sound_outputs(model, processor, splits.train, task_head.facts(splits.train).get("outputs"))
        return Fitted(model, record, task_head)
    require_usable(recipe, is_custom_module=isinstance(model, LightningModule))
    types = types_of(model)
    if recipe.pretrain is not None:
        recipe.pretrain.pretrain(model, processor, splits.train.inputs, recipe.seed)
        seed_everything(
            recipe.seed, workers=True, verbose=False
        )  # what follows does not depend on a cached pretraining
    course = _trained(recipe, model, task_head, splits, processor, resume_folder, listener)
    return Fitted(*finished(model, record, types), task_head, course.history, course.best_epoch)


@dataclass(frozen=True)
class TrainingOutcome:
    """How a net was trained: logged values, an entry each epoch, and the epoch whose weights it has, from 0."""

    history: tuple[dict[str, float], ...]
    best_epoch: int


def fit_net(
    recipe: TrainingRecipe,
    net: nn.Module,
    splits: Splits,
    processor: Processor,
    resume_folder: Path,
    listener: EpochListener | None = None,
    teacher: Teacher | None = None,
    task_head: TaskHead | None = None,
) -> TrainingOutcome:
    """Trains a net in place as the recipe says, and leaves it with the weights of its best epoch.

    Args:
        recipe: what the net is trained by; its model is not used.
        net: model inputs by name to logits (N, K).
        splits: clean rows; test rows are not touched.
        processor: fitted.
        resume_folder: holds Lightning's own checkpoints; if there is one, training resumes from it.
        listener: called with each epoch as it ends.
        teacher: model that the net also learns from; None for none.
        task_head: what the net's logits mean, as of the checkpoint that it comes from; None takes the recipe's.

    Raises:
        ConfigError: the recipe has no trainer, or a part refused its arguments.
    """
    if recipe.trainer is None:
        raise ConfigError(
            f"{recipe.name} has no trainer, so its net cannot learn. Set trainer=cpu, or leave it as it is."
        )
    require_usable(recipe, is_custom_module=isinstance(net, LightningModule))
    quiet_lightning()
    seed_everything(recipe.seed, workers=True, verbose=False)
    task_head = task_head or task_head_for(recipe, splits)
    return _trained(recipe, net, task_head, splits, processor, resume_folder, listener, teacher)


def _trained(
    recipe: TrainingRecipe,
    net: nn.Module,
    task_head: TaskHead,
    splits: Splits,
    processor: Processor,
    resume_folder: Path,
    listener: EpochListener | None,
    teacher: Teacher | None = None,
) -> TrainingOutcome:
    """Trains a net in place; it then has the weights of its best epoch."""
    history = History(listener, lines=is_alone() and not is_terminal())
    task, watching = task_of(recipe, net, task_head, splits.train, teacher)
    keeper = LatestBest(
        dirpath=resume_folder,
        filename="best",
        monitor=f"validation_{recipe.metric}",
        mode="max",
        enable_version_counter=False,
    )
    own = [part.build() for part in recipe.callbacks.values()]
    bars = [EpochBar(leave=True)] if is_terminal() else []
    watching += [BatchStatistics(recipe.batch_size), Vitals()]
    trainer = _trainer(required(recipe.trainer, "trainer"), [*watching, history, keeper, *own, *bars], resume_folder)
    if isinstance(task, Task):
        keep_targets_(trainer)
    else:
        splits = replace(
            splits, train=with_float32_targets(splits.train), validation=with_float32_targets(splits.validation)
        )
    if trainer.global_rank:
        torch.manual_seed(recipe.seed + trainer.global_rank)  # each process drops and augments by its own chance
    data = DataModule(splits, processor, recipe.batch_size, recipe.seed, workers=recipe.workers, loader=loader_of(net))
    point = newest_whole(resume_folder)
    try:
        with processes.together():
            trainer.fit(task, datamodule=data, ckpt_path=point, weights_only=False)  # our own file
    except MisconfigurationException as error:
        raise ConfigError(f"trainer or callbacks were refused by lightning: {' '.join(str(error).split())}") from error
    except SIGTERMException as ending:  # it would end the process with status 0
        log.warning("Terminated. Run the same command again and training resumes where it was")
        raise SystemExit(128 + signal.SIGTERM) from ending
    except SystemExit as ending:
        if trainer.interrupted:  # Lightning ends the process at ctrl-C, silently
            raise KeyboardInterrupt from ending
        raise
    if not keeper.best_model_path:
        raise ConfigError(
            "No epoch was kept: training takes at least one step, and rows to validate on. Look at trainer.max_epochs, "
            "trainer.max_steps, trainer.limit_val_batches and trainer.fast_dev_run."
        )
    best = torch.load(keeper.best_model_path, weights_only=False, map_location="cpu")
    task.load_state_dict(best["state_dict"])
    return TrainingOutcome(tuple(history.epochs), int(best["epoch"]))


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


def _trainer(part: Part[Trainer], callbacks: list[Any], folder: Path) -> Trainer:
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
    strategy: Any = trainer.strategy
    if isinstance(strategy.launcher, _SubprocessScriptLauncher):
        strategy._launcher = Launcher(strategy.cluster_environment, strategy.num_processes, strategy.num_nodes)  # noqa: SLF001 - as it does itself
    return trainer
