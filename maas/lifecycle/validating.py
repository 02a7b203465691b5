"""How good a fitted model is before it is exported, by its own framework."""

import logging
from pathlib import Path

import numpy as np

from maas.data.folds import folded
from maas.data.splits import Splits
from maas.evidence.task_metrics import task_metrics_of
from maas.records.evidence import Interval
from maas.runtime.postprocessors import Postprocessor, load_postprocessor, postprocessor_class
from maas.runtime.predictor import outputs_in_batches
from maas.runtime.processors import Processor
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import Fitted, fit
from maas.training.recipe import TrainingRecipe

log = logging.getLogger("maas")


def validated(fitted: Fitted, processor: Processor, splits: Splits) -> tuple[Postprocessor, dict[str, Interval]]:
    """Returns the answer of a fitted model, and its metrics on validation rows; none where they have no targets."""
    task_head, rows = fitted.task_head, splits.validation
    output = postprocessor_class(task_head.postprocessor).output
    outputs = outputs_in_batches(processor, rows.inputs, 32, run_of(fitted.model, task_head, output))[output]
    postprocessor = load_postprocessor(task_head.postprocessor_record(outputs.shape[-1]))
    if rows.targets is None:
        return postprocessor, {}
    return postprocessor, task_metrics_of(task_head.postprocessor, splits.labels).compute(
        rows.targets, postprocessor.scores({output: outputs})
    )


def cross_validated(recipe: TrainingRecipe, splits: Splits, resume: Path) -> dict[str, Interval]:
    """Fits the recipe anew for each fold, and evaluates the answers to all held-out rows together."""
    targets, found = [], []
    for number, fold in enumerate(folded(splits, recipe.folds), start=1):
        log.info("train     fold %s of %s", number, recipe.folds)
        processor = recipe.fitted_processor(fold.train.inputs)
        fitted = fit(recipe, fold, processor, resume / f"fold{number}")
        task_head = fitted.task_head
        postprocessor = load_postprocessor(task_head.postprocessor_record(len(fold.labels)))
        run = run_of(fitted.model, task_head, postprocessor.output)
        targets.append(np.asarray(fold.test.targets))
        found.append(scores_of(run, postprocessor, processor, fold.test.inputs))
    return task_metrics_of(postprocessor.kind, splits.labels).compute(np.concatenate(targets), np.concatenate(found))
