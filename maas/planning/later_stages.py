"""A dry run of what comes after training: exporting, compressing, proving. Bytes are exact, seconds are counted up."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maas.compression.candidates import gzip_bytes
from maas.compression.evaluator import BATCH_EFFECT_ROWS, Evaluator, TimingTarget
from maas.compression.naming import PARENT
from maas.compression.passes import Calibration
from maas.data.splits import Split, Splits
from maas.errors import BundleError, ExportError
from maas.evidence.baselines import Baseline
from maas.evidence.benchmark import interleaved_s
from maas.evidence.parity import reference_run
from maas.evidence.reference_faults import reference_faults
from maas.evidence.robustness import perturbations_of
from maas.evidence.task_metrics import task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.exporting.proof import REFERENCE_ROWS, REFERENCE_S
from maas.lifecycle.recipe import BuiltRecipe
from maas.planning.estimating import extrapolated
from maas.planning.report import LaterStages
from maas.runtime.model import Predictor
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import scores_of

ANSWERED_S, ALONE = 0.6, 8
"""Answers are timed for so long at least; so many rows are answered one by one."""
REFERENCE_DRY_RUN_S = 2.0
"""The reference evaluator is timed on as many rows, or for so long."""
BASELINE_ROWS = 10_000
"""The most training rows that the baseline of a dry run sees."""


@dataclass(frozen=True)
class Models:
    """What answers: the model as exported, and what the passes made of it.

    Args:
        files: ONNX files by name.
        predictors: over them.
        row_s: seconds that each takes for a row, from raw to answered.
    """

    files: dict[str, Path]
    predictors: dict[str, Predictor]
    row_s: dict[str, float]

    @property
    def exported(self) -> Predictor:
        """Before compression."""
        return self.predictors[PARENT]

    @property
    def shipped(self) -> str:
        """The name of what a search would choose by size and time; how well it answers is known only later."""
        fast = [name for name in self.files if self.row_s[name] <= self.row_s[PARENT]]
        return min(fast, key=lambda name: self.files[name].stat().st_size * self.row_s[name])


def later_stages_of(
    recipe: BuiltRecipe, checkpoint: Checkpoint, splits: Splits, few: Splits, folder: Path
) -> LaterStages:
    """Exports and compresses a checkpoint as the line would, and answers a few rows by every model.

    Args:
        recipe: whose stages are later_stages_of.
        checkpoint: of a net that need not have learnt anything.
        splits: all rows.
        few: some of the validation and test rows.
        folder: for what is written.
    """
    settings, training = recipe.compression, recipe.training
    model, started = folder / f"{PARENT}.onnx", time.perf_counter()
    source = recipe.source(checkpoint, splits)
    exported = source.predictor(source.model.write_graph(model))
    calibration = Calibration.of(exported, splits.train, recipe.training.seed)
    evaluator = Evaluator(
        model, exported, few.validation, source.task_metrics, recipe.training.metric, recipe.training.seed
    )
    models = Models({PARENT: model}, {PARENT: exported}, {})
    for name, one in settings.onnx_passes.items():
        out = folder / f"{name}.onnx"
        with suppress(ExportError, BundleError):  # the search refuses such a candidate, and continues
            one.apply(model, out, calibration)
            evaluator.require_running(out)
            models.predictors[name], models.files[name] = evaluator.predictor(out), out
    applied_s = time.perf_counter() - started
    models.row_s.update({name: _row_s(one, few.validation) for name, one in models.predictors.items()})
    return LaterStages(
        bytes={name: file.stat().st_size for name, file in models.files.items()},
        compress_s=applied_s + _searching_s(evaluator, models, evaluator.target(settings.budget), splits.validation),
        variants=settings.variants,
        pipeline_epochs=settings.epochs(
            int(training.trainer_settings.get("max_epochs") or 0),
            is_augmented=training.augment is not None,
        ),
        export_s=_proving_s(recipe, checkpoint, models, splits, few),
    )


def _searching_s(evaluator: Evaluator, models: Models, target: TimingTarget, validation: Split) -> float:
    """Returns the seconds that candidates are measured for."""
    rows, few = len(validation), evaluator.validation.inputs
    total = rows * _seconds(evaluator.parent.preprocess, few) / len(few)
    parent = _as_many(evaluator.scores(models.exported), rows)
    everything = replace(evaluator, validation=validation)
    for name, predictor in models.predictors.items():
        row_s = models.row_s[name]
        alone = sum(_seconds(predictor.scores, [row]) for row in few[:ALONE]) / len(few[:ALONE])
        own = _as_many(evaluator.scores(predictor), rows)
        evaluated = _seconds(everything.value, own) + _seconds(everything.drop, parent, own)
        total += rows * row_s + BATCH_EFFECT_ROWS * (row_s + alone) + evaluated
    for name, file in models.files.items():
        total += _seconds(evaluator.footprint, file) + _seconds(gzip_bytes, file)
        total += (2 if name == PARENT else 1) * _raced_s(evaluator, file, target)  # all are timed beside it
    return total


def _raced_s(evaluator: Evaluator, model: Path, target: TimingTarget) -> float:
    """Returns the seconds that a model is timed for at all batch sizes and threads."""
    total = 0.0
    for plan in evaluator.timing_plans(target):
        started, predictor = time.perf_counter(), evaluator.predictor(model, plan.target.threads)
        opened_s, model_inputs = (
            time.perf_counter() - started,
            evaluator.timed_inputs(plan.target.batch_size, plan.batches),
        )
        turn = min(sum(_seconds(predictor.session.run, None, one) for one in model_inputs) for _ in range(2))
        total += opened_s + interleaved_s(turn, rounds=plan.rounds)
    return total


def _proving_s(recipe: BuiltRecipe, checkpoint: Checkpoint, models: Models, splits: Splits, few: Splits) -> float:
    """Returns the seconds of a bundle's proof on all test rows."""
    exported, rows, sample = models.exported, len(splits.test), few.test
    shipped, shipped_row_s = models.predictors[models.shipped], models.row_s[models.shipped]
    started, run = time.perf_counter(), checkpoint.run()
    opened_s = time.perf_counter() - started
    postprocessor, processor = exported.postprocessor, exported.processor
    trained_s = _seconds(scores_of, run, postprocessor, processor, sample.inputs, exported.batch_size) / len(sample)
    total = opened_s + rows * (trained_s + models.row_s[PARENT] + shipped_row_s)
    total += _reference_s(models.files[PARENT], exported, sample, rows)
    if sample.targets is None:
        return total
    metric, found = recipe.training.metric, shipped.scores(sample.inputs)
    task_metrics = task_metrics_of(postprocessor.kind, splits.labels, metric, postprocessor.thresholds)
    many = _as_many(found, rows)
    whose = 2 + (recipe.baseline is not None)
    total += whose * _seconds(task_metrics.compute, splits.test.targets, many)
    disturbed = min(recipe.export.robustness_rows, len(sample))
    if metric and disturbed:
        evaluated = _seconds(task_metrics.value, sample.targets[:disturbed], found[:disturbed], metric)
        times = sum(len(one.strengths) for one in perturbations_of(processor))
        total += times * (disturbed * shipped_row_s + evaluated)
    return total + (_baseline_s(recipe.baseline, splits, few) if recipe.baseline else 0.0)


def _reference_s(model: Path, exported: Predictor, sample: Split, rows: int) -> float:
    """Runs the reference evaluator on a few rows, and returns the seconds that all its rows take."""
    if reference_faults(model):
        return 0.0
    run = reference_run(model, exported.postprocessor.output)
    opened_s, times = _seconds(reference_run, model, exported.postprocessor.output), list[float]()
    for row in sample.inputs[: 1 + ALONE]:
        times.append(_seconds(scores_of, run, exported.postprocessor, exported.processor, [row]))
        if len(times) > 2 and sum(times) > REFERENCE_DRY_RUN_S:
            break
    first_s, rest_s = times[0], times[1:] or times
    row_s = sum(rest_s) / len(rest_s)
    return opened_s + first_s + min(min(REFERENCE_ROWS, rows) * row_s, max(REFERENCE_S, row_s))


def _baseline_s(baseline: Baseline, splits: Splits, few: Splits) -> float:
    """Fits the baseline on few rows and on twice as many, and returns what the power law says of all."""
    most = min(len(splits.train) // 2, BASELINE_ROWS)
    timed = []
    for count in (most // 2, most):
        rows = replace(few, train=splits.train.spread(count))
        timed.append((count, _seconds(baseline, rows)))
    return extrapolated(timed[0], timed[1], len(splits.train))


def _row_s(predictor: Predictor, rows: Split) -> float:
    """Returns seconds a row, from raw to answered: of several times the shortest, as a first one may be much longer."""
    predictor.scores(rows.inputs[:ALONE])
    times = [_seconds(predictor.scores, rows.inputs)]
    while len(times) < ANSWERED_S / min(times):
        times.append(_seconds(predictor.scores, rows.inputs))
    return min(times) / len(rows)


def _as_many(found: Scores, rows: int) -> Scores:
    """Returns plain numbers, (n, K), again and again until there are (rows, K)."""
    return found[np.arange(rows) % len(found)]


def _seconds(work: Callable[..., Any], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started
