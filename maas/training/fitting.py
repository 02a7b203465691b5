"""Fitting: from a recipe and its rows to a checkpoint, resumable after any interruption."""

import logging
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch import LightningModule, seed_everything
from torch import nn

from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.importing.base import ImportedModel
from maas.runtime.processors import Processor
from maas.training.callbacks import require_usable
from maas.training.checkpoint import NetRecord
from maas.training.distilling import Teacher
from maas.training.freezing import freeze_, report_frozen
from maas.training.heads import TaskHead
from maas.training.nets import built, finished, resolve_net, types_of
from maas.training.output_check import require_sound_outputs
from maas.training.progress import EpochListener, quiet_lightning
from maas.training.recipe import TrainingRecipe
from maas.training.scales import require_unit, task_head_for
from maas.training.trainers import TrainingOutcome, training_of

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


def fit_recipe(
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
        _require_nothing_frozen(recipe, model.framework)
        return Fitted(model.fit(splits, processor), record, task_head)
    if recipe.trainer is None:
        _require_nothing_frozen(recipe, "a recipe without a trainer")
        model, record = finished(model, record, types_of(model))
        if task_head.postprocessor:  # else its logits are of each token, and proven with the texts
            outputs = task_head.facts(splits.train).get("outputs")
            require_sound_outputs(model, processor, splits.train, outputs, task_head.axes)
        return Fitted(model, record, task_head)
    require_usable(recipe, is_custom_module=isinstance(model, LightningModule))
    types = types_of(model)
    if recipe.pretrain is not None:
        recipe.pretrain.pretrain(model, processor, splits.train.inputs, recipe.seed)
        seed_everything(recipe.seed, workers=True, verbose=False)  # as if the pretraining came from the cache
    freeze_(model, recipe.freeze)
    report_frozen(model)
    training = training_of(recipe, model, task_head, splits, processor, resume_folder, listener)
    with training.supervised():
        training.trainer.fit(training.task, datamodule=training.data, ckpt_path=training.checkpoint, weights_only=False)
    outcome = training.outcome()
    return Fitted(*finished(model, record, types), task_head, outcome.history, outcome.best_epoch)


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
    training = training_of(recipe, net, task_head, splits, processor, resume_folder, listener, teacher)
    with training.supervised():
        training.trainer.fit(training.task, datamodule=training.data, ckpt_path=training.checkpoint, weights_only=False)
    return training.outcome()


def _require_nothing_frozen(recipe: TrainingRecipe, what: str) -> None:
    if recipe.freeze:
        raise ConfigError(
            f"freeze is {', '.join(recipe.freeze)}, and {what} trains no net here. Set freeze=[], or trainer=cpu "
            "with a net."
        )
