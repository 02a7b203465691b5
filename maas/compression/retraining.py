"""Training a net that is there already, and keeping what comes of it as a checkpoint."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from lightning.pytorch import LightningModule
from torch import nn

from maas.compression.passes.base import PassContext
from maas.errors import ExportError
from maas.evidence.task_metrics import task_metrics_of
from maas.records.evidence import Interval
from maas.training import processes
from maas.training.checkpoint import Checkpoint
from maas.training.distilling import Teacher
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import fit_net
from maas.training.nets import settled, types_of
from maas.training.pruning_plan import PruningPlan
from maas.training.recipe import TrainingRecipe


def retrained(
    parent: Checkpoint,
    out: Path,
    context: PassContext,
    *,
    epochs: int,
    lr: float | None = None,
    teacher: Teacher | None = None,
    net: nn.Module | None = None,
    known: PruningPlan | None = None,
    during: AbstractContextManager[None] | None = None,
) -> Checkpoint:
    """Trains the net of a checkpoint by its recipe, and writes the checkpoint of the best epoch.

    Args:
        parent: checkpoint that is trained further.
        out: folder to write.
        context: recipe, rows, and the folder of training checkpoints.
        epochs: number of epochs over the training rows.
        lr: learning rate; None takes the recipe's.
        teacher: trained net to learn from as well; None for none.
        net: net of the parent's shape, with the weights to begin with; None takes the parent's.
        known: pruning plan with removed layers and clipped inputs; None where they are the parent's.
        during: context manager around training and measuring, which does not hold once the checkpoint is opened.

    Raises:
        CheckpointError: the net holds what a checkpoint cannot.
        ExportError: the recipe cannot train, the model is no net, or it has a loss of its own that knows no teacher.
    """
    model = net or parent.model()
    if not isinstance(model, nn.Module):
        raise ExportError(f"{parent.record.name} is an imported model, so it cannot be trained further.")
    if teacher and isinstance(model, LightningModule):
        raise ExportError(
            f"{type(model).__name__} has a loss of its own, so it cannot learn from a teacher. Take finetune."
        )
    types = types_of(model)
    model.requires_grad_().train()
    recipe = _shortened(context.training, epochs, lr, context.seed)
    splits, processor = context.splits, parent.processor()
    resume = context.folder / "resume"
    with during or nullcontext():
        course = fit_net(recipe, model, splits, processor, resume, context.listener, teacher, parent.task_head())
        model = settled(model, types)
        metrics = _metrics(parent, model, context)
    return parent.succeeded_by(
        out,
        model,
        known=known,
        rows=context.rows,
        history=course.history,
        best_epoch=course.best_epoch,
        metrics=metrics,
    )


def _shortened(recipe: TrainingRecipe, epochs: int, lr: float | None, seed: int) -> TrainingRecipe:
    """Returns the recipe with other epochs, learning rate and seed, in one process: the others ended after training."""
    if recipe.trainer is None or recipe.optimizer is None:
        raise ExportError(f"{recipe.name} has no trainer, so its net cannot be trained further.")
    optimizer = recipe.optimizer if lr is None else recipe.optimizer.with_arguments(lr=lr)
    trainer = replace(recipe.trainer, arguments={**processes.alone(recipe.trainer), "max_epochs": epochs})
    return replace(recipe, trainer=trainer, optimizer=optimizer, seed=seed)


def _metrics(parent: Checkpoint, net: nn.Module, context: PassContext) -> dict[str, Interval]:
    postprocessor, rows = parent.postprocessor(), context.splits.validation
    if rows.targets is None:
        return {}
    found = scores_of(
        run_of(net, parent.task_head(), postprocessor.output), postprocessor, parent.processor(), rows.inputs
    )
    metric, labels = context.training.metric, context.splits.labels
    task_metrics = task_metrics_of(postprocessor.kind, labels, metric, postprocessor.thresholds)
    return task_metrics.compute(rows.targets, found)
