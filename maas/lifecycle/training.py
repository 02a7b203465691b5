"""The stage that trains: a processor and a model fitted on the recipe's rows, and kept as a checkpoint."""

import logging
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
from torch import nn

from maas.data.folds import folded, require_foldable
from maas.data.splits import Split, Splits
from maas.doctor import require_sound
from maas.doctor.trained import finding_of_predictions
from maas.errors import ConfigError
from maas.evidence.plots import learning_curve
from maas.evidence.task_metrics import task_metrics_of
from maas.evidence.text_metrics import TextLikelihoods, text_metrics
from maas.evidence.translation_metrics import translation_metrics
from maas.exporting.generation_metrics import net_likelihoods
from maas.lifecycle.lineage import lineage_of
from maas.lifecycle.recipe import SEQUENCE_TASKS, SPEECH_TO_TEXT, BuiltRecipe
from maas.lifecycle.registering import tracker_of
from maas.lifecycle.stages import timed
from maas.records.evidence import Interval
from maas.records.manifest import Lineage
from maas.run_folders.folder import RunFolder
from maas.runtime.model import outputs_in_batches
from maas.runtime.postprocessors import Postprocessor, load_postprocessor, postprocessor_class
from maas.runtime.processors import Processor
from maas.scoring.thresholds import ThresholdRule
from maas.training import processes
from maas.training.checkpoint import Checkpoint, save_checkpoint
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import Fitted, fit_recipe
from maas.training.recipe import TrainingRecipe
from maas.training.reopening import REOPENED_ROWS, REOPENED_TEXTS
from maas.training.thresholds import with_thresholds
from maas.training.translating import pair_sums, translations_of

log = logging.getLogger("maas")


def train_checkpoint(recipe: BuiltRecipe, folder: RunFolder, splits: Splits) -> Checkpoint:
    """Fits processor and net, and keeps the best epoch."""
    if recipe.training.folds and recipe.training.task in SEQUENCE_TASKS:
        raise ConfigError(
            f"folds is {recipe.training.folds}; models of the task {recipe.training.task} are not cross-validated. "
            "Set folds=0."
        )
    require_foldable(splits, recipe.training.folds)
    lineage = lineage_of(recipe.config, splits.record.fingerprint)  # of the code that is about to train
    tracker = tracker_of(recipe, folder, lineage)
    count = f"{len(splits.labels)} labels"
    named = {"label": count, "labels": f"sets of {count}", "text": f"texts of {len(splits.labels)} characters"}
    named["items"] = f"{len(splits.labels)} items"
    log.info("train     %s rows, %s", len(splits.train), named.get(splits.target, "no labels"))
    with timed(folder, "train"), tracker.marked() if tracker else nullcontext():
        processor = recipe.training.fitted_processor(splits.train.fitting_rows)
        require_sound(recipe.training, splits, processor)
        processes.send_folder(folder.resume)
        fitted = fit_recipe(recipe.training, splits, processor, folder.resume, tracker.log_epoch if tracker else None)
        postprocessor, metrics = validated(fitted, processor, splits, recipe.training.metric, recipe.training.threshold)
        folds = cross_validated(recipe.training, splits, folder.resume) if recipe.training.folds else {}
        checkpoint = checkpoint_of_fitted(
            folder,
            recipe.training,
            fitted,
            processor,
            splits,
            postprocessor=postprocessor,
            metrics=metrics,
            cross_validated=folds,
            lineage=lineage,
        )
    if tracker and fitted.history and recipe.training.metric:
        with tempfile.TemporaryDirectory() as scratch:
            curve = Path(scratch) / "learning_curve.png"
            tracker.log_files(learning_curve(fitted.history, fitted.best_epoch, recipe.training.metric, curve), "plots")
    if tracker:
        tracker.settle()
    return checkpoint


def assist(recipe: TrainingRecipe, splits: Splits) -> NoReturn:
    """Trains beside the first process, which alone continues; this one ends."""
    resume = processes.received_folder()
    if resume is not None:
        fit_recipe(recipe, splits, recipe.fitted_processor(splits.train.fitting_rows), resume)
    raise SystemExit(0)


def checkpoint_of_fitted(
    folder: RunFolder,
    recipe: TrainingRecipe,
    fitted: Fitted,
    processor: Processor,
    splits: Splits,
    *,
    postprocessor: Postprocessor | None,
    metrics: dict[str, Interval],
    lineage: Lineage,
    cross_validated: dict[str, Interval] | None = None,
) -> Checkpoint:
    """Writes the checkpoint of a model that was fitted, which answers validation rows as the model does.

    Args:
        folder: folder of the run.
        recipe: what the model was trained by.
        fitted: the model, and how it was trained.
        processor: fitted processor.
        splits: rows that it was trained on.
        postprocessor: what its scores mean; None for a model that generates texts.
        metrics: metrics on validation rows.
        lineage: where it comes from.
        cross_validated: metrics of a cross-validation; None for none.

    Raises:
        CheckpointError: the model holds what a checkpoint cannot, and would answer otherwise once it is opened.
    """
    rows = splits.validation.spread(REOPENED_ROWS if postprocessor else REOPENED_TEXTS)
    return save_checkpoint(
        folder.checkpoint,
        fitted.model,
        processor,
        name=recipe.name,
        task=recipe.task,
        net_record=fitted.net_record,
        rows=rows.inputs,
        plan=None,
        labels=splits.labels,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        data=splits.record,
        postprocessor=postprocessor.record() if postprocessor else {},
        metrics=metrics,
        lineage=lineage,
        cross_validated=cross_validated or {},
    )


def validated(
    fitted: Fitted, processor: Processor, splits: Splits, metric: str | None, rule: ThresholdRule | None = None
) -> tuple[Postprocessor | None, dict[str, Interval]]:
    """Returns the postprocessor of a fitted model, if it has one, and its metrics on validation rows, if there are any.

    Those of a model that generates texts are over all tokens of the rows, and over the texts that it makes of others.

    Args:
        fitted: the model, and how it was trained.
        processor: fitted.
        splits: rows that it was trained on.
        metric: of the recipe; None for no other than the usual ones.
        rule: how thresholds are chosen; None predicts the most probable label.
    """
    task_head, rows = fitted.task_head, splits.validation
    if task_head.task == SPEECH_TO_TEXT:  # it is not trained, and measured with its proof
        return None, {}
    if not task_head.postprocessor:
        measure = translated_metrics if task_head.target == "text" else generated_metrics
        return None, measure(cast("nn.Module", fitted.model), processor, rows)
    output = postprocessor_class(task_head.postprocessor).output
    outputs = outputs_in_batches(processor, rows.inputs, 32, run_of(fitted.model, task_head, output))[output]
    postprocessor = load_postprocessor(task_head.postprocessor_record(outputs.shape[-1]))
    if rows.targets is None:
        return postprocessor, {}
    scores = postprocessor.scores({output: outputs})
    if finding := finding_of_predictions(scores, rows.targets, splits.labels):
        log.warning("%s", finding)
    if rule is not None:
        postprocessor = with_thresholds(postprocessor, rows.targets, scores, rule)
    task_metrics = task_metrics_of(postprocessor.kind, splits.labels, metric, postprocessor.thresholds)
    return postprocessor, task_metrics.compute(rows.targets, scores)


def generated_metrics(net: nn.Module, processor: Processor, rows: Split) -> dict[str, Interval]:
    """Returns how well a net predicts whole texts, and the answers of conversations.

    Args:
        net: in evaluation mode, on the CPU.
        processor: that it was trained with.
        rows: texts and conversations.
    """
    return text_metrics(net_likelihoods(net, processor, rows.inputs))


def translated_metrics(net: nn.Module, processor: Processor, rows: Split) -> dict[str, Interval]:
    """Returns how well a net predicts the targets of texts, and how near to them what it makes of the texts is.

    Args:
        net: in evaluation mode, on the CPU.
        processor: that it was trained with.
        rows: texts whose targets are texts.
    """
    wanted = [] if rows.targets is None else [str(one) for one in rows.targets]
    sums = pair_sums(net, processor, rows.inputs, wanted)
    made = translations_of(net, processor, rows.inputs)
    return text_metrics(TextLikelihoods.of(wanted, *sums)) | translation_metrics(made, wanted)


def cross_validated(recipe: TrainingRecipe, splits: Splits, resume: Path) -> dict[str, Interval]:
    """Fits the recipe again for each fold, and evaluates the predictions of all held-out rows together."""
    targets, found = [], []
    for number, fold in enumerate(folded(splits, recipe.folds), start=1):
        log.info("train     fold %s of %s", number, recipe.folds)
        processor = recipe.fitted_processor(fold.train.fitting_rows)
        fitted = fit_recipe(recipe, fold, processor, resume / f"fold{number}")
        task_head = fitted.task_head
        postprocessor = load_postprocessor(task_head.postprocessor_record(len(fold.labels)))
        run = run_of(fitted.model, task_head, postprocessor.output)
        targets.append(np.asarray(fold.test.targets))
        found.append(scores_of(run, postprocessor, processor, fold.test.inputs))
    task_metrics = task_metrics_of(postprocessor.kind, splits.labels, recipe.metric)
    return task_metrics.compute(np.concatenate(targets), np.concatenate(found))
