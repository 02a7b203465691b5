"""How good a fitted model is before it is exported, by its own framework."""

import logging
from pathlib import Path

import numpy as np

from maas.config import RunConfig, build
from maas.data.folds import folded
from maas.data.splits import Splits
from maas.evidence.task_metrics import task_metrics_of
from maas.records.evidence import Interval
from maas.runtime.answers import BaseAnswer, answer_class, load_answer
from maas.runtime.predictor import outputs_in_batches
from maas.runtime.processors import BaseProcessor
from maas.training.evaluation import predictions, run_of
from maas.training.fitting import Fitted, fit

log = logging.getLogger("maas")


def validated(fitted: Fitted, processor: BaseProcessor, splits: Splits) -> tuple[BaseAnswer, dict[str, Interval]]:
    """Returns the answer of a fitted model, and its metrics on validation rows; none where they have no targets."""
    task_head, rows = fitted.task_head, splits.validation
    output = answer_class(task_head.answer).output
    outputs = outputs_in_batches(processor, rows.inputs, 32, run_of(fitted.model, task_head, output))[output]
    answer = load_answer(task_head.answer_record(outputs.shape[-1]))
    if rows.targets is None:
        return answer, {}
    return answer, task_metrics_of(task_head.answer, splits.labels).compute(
        rows.targets, answer.predictions({output: outputs})
    )


def cross_validated(config: RunConfig, splits: Splits, resume: Path) -> dict[str, Interval]:
    """Fits the recipe anew for each fold, and evaluates the answers to all held-out rows together."""
    targets, found = [], []
    for number, fold in enumerate(folded(splits, config.folds), start=1):
        log.info("train     fold %s of %s", number, config.folds)
        processor = build(config.processor, "processor").fit(fold.train.inputs)
        fitted = fit(config, fold, processor, resume / f"fold{number}")
        task_head = fitted.task_head
        answer = load_answer(task_head.answer_record(len(fold.labels)))
        run = run_of(fitted.model, task_head, answer.output)
        targets.append(np.asarray(fold.test.targets))
        found.append(predictions(run, answer, processor, fold.test.inputs))
    return task_metrics_of(answer.kind, splits.labels).compute(np.concatenate(targets), np.concatenate(found))
