"""Proving a drafted bundle: it answers as the trained model does, and this is how good it is."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Split, Splits
from maas.errors import ParityError
from maas.evidence.baselines import Baseline
from maas.evidence.machine import this_machine
from maas.evidence.parity import first_difference, parity_of, reference_run, require_parity
from maas.evidence.reference_faults import reference_faults
from maas.evidence.robustness import curves
from maas.evidence.task_metrics import TaskMetrics, task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.exporting.edge_parity import parity_at_edges
from maas.exporting.settings import ExportSettings
from maas.importing.base import ImportedModel
from maas.records.evidence import EVIDENCE_VERSION, CompressionRecord, Evidence, Interval, Parity, RobustnessCurve
from maas.runtime.bundle import Bundle
from maas.runtime.predictor import Predictor
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import run_of, scores_of
from maas.training.reopening import differing

REFERENCE_ROWS = 64
"""Rows for onnx's reference evaluator, which takes seconds for what ONNX Runtime does in milliseconds."""
REFERENCE_S = 15.0
"""Fewer rows are taken where they would take longer; two at least."""


@dataclass(frozen=True)
class Answers:
    """Plain numbers of the test rows, (N, K) each.

    Args:
        framework: what the models answered by before they were exported.
        has_tails: whether maas itself makes the probabilities of logits, and so keeps those near 0.
        trained: of the trained model.
        source: of what was exported: the trained model, or what passes made of it.
        exported: of the graph as exported.
        shipped: of what ships.
    """

    framework: str
    has_tails: bool
    trained: Scores
    source: Scores
    exported: Scores
    shipped: Scores


def prove(
    bundle: Bundle,
    checkpoint: Checkpoint,
    exported: Path,
    splits: Splits,
    settings: ExportSettings,
    *,
    source: Checkpoint | None = None,
    metric: str | None = None,
    baseline: Baseline | None = None,
    compression: CompressionRecord | None = None,
    seconds: dict[str, float] | None = None,
) -> Evidence:
    """Measures a bundle on the test rows.

    Args:
        bundle: what would ship.
        checkpoint: what was trained.
        exported: the ONNX file before compression.
        splits: clean rows.
        settings: tolerances.
        source: what `exported` was exported from, if passes made another checkpoint of `checkpoint`.
        metric: that is measured as inputs get worse; None for none.
        baseline: what a user would pick instead; None for nothing.
        compression: how `bundle` was made smaller; None where it was not.
        seconds: wall time of the stages so far.

    Raises:
        ParityError: the exported graph differs from the model, or the shipped model from the exported one.
    """
    predictor, task_metrics = (
        bundle.make_predictor(model=exported),
        task_metrics_of(bundle.manifest.postprocessor["kind"], splits.labels),
    )
    rows = splits.test.inputs
    model = checkpoint.model()
    framework, trained = _by_framework(model, checkpoint, predictor, rows)
    answers = Answers(
        framework=framework,
        has_tails=not isinstance(model, ImportedModel) or model.has_tails,
        trained=trained,
        source=trained if source is None else _by_framework(source.model(), source, predictor, rows)[1],
        exported=predictor.scores(rows),
        shipped=bundle.predictor.scores(rows),
    )
    faults = reference_faults(exported)
    try:
        parity = list(_parity(answers, task_metrics, predictor, exported, splits.test, settings, faults))
    except ParityError:
        _require_repeatable(source or checkpoint, predictor, rows, answers.source)
        raise
    parity += parity_at_edges(source or checkpoint, task_metrics, predictor, splits.test, settings.tolerance)
    if bundle.manifest.precision != "fp32":
        shipped = parity_of(task_metrics, "exported", "shipped", answers.exported, answers.shipped)
        advice = " Set compress=none to ship fp32, or a lower export.min_agreement."
        parity.append(require_parity(shipped, min_agreement=settings.min_agreement, where=advice))
    if source is not None:  # how far the answers moved; whether that is too far is said by the metric
        parity.append(parity_of(task_metrics, "trained", "shipped", answers.trained, answers.shipped))
    confusion = None if splits.test.targets is None else task_metrics.confusion(splits.test.targets, answers.shipped)
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=splits.record,
        metrics=dict(_metrics(answers, task_metrics, splits, checkpoint, baseline)),
        confusion=None if confusion is None else tuple(map(tuple, confusion.tolist())),
        robustness=_robustness(bundle.predictor, task_metrics, splits.test, metric, settings.robustness_rows),
        parity=tuple(parity),
        compression=compression,
        seconds=seconds or {},
        reference_faults=faults,
    )


def _by_framework(model: Any, checkpoint: Checkpoint, predictor: Predictor, rows: Sequence[Any]) -> tuple[str, Scores]:
    """Returns the name of the framework that a checkpoint's model was made in, and what it answers by it."""
    run = run_of(model, checkpoint.task_head(), predictor.postprocessor.output)
    found = scores_of(run, predictor.postprocessor, predictor.processor, rows, predictor.batch_size)
    return model.framework if isinstance(model, ImportedModel) else "torch", found


def _require_repeatable(checkpoint: Checkpoint, predictor: Predictor, rows: Sequence[Any], before: Scores) -> None:
    """Raises ParityError where a model answers otherwise each time it is opened: it is at fault, and not its export."""
    few = rows[: predictor.batch_size]
    expected, again = before[: len(few)], _by_framework(checkpoint.model(), checkpoint, predictor, few)[1]
    if differing(expected, again).any():
        found = float(np.abs(expected - again).max())
        raise ParityError(
            f"{checkpoint.record.net.target} is random: opened again, it answers the same rows otherwise, by up to "
            f"{found:.3g}. Keep what it draws when it is built in a buffer (persistent=True), pass "
            "training=self.training to functional dropout, and train again.",
            found=found,
            allowed=0.0,
        )


def _metrics(
    answers: Answers, task_metrics: TaskMetrics, splits: Splits, checkpoint: Checkpoint, baseline: Baseline | None
) -> Iterator[tuple[str, dict[str, Interval]]]:
    """Yields whose metrics, and the metrics."""
    if splits.test.targets is None:
        return
    yield "trained", task_metrics.compute(splits.test.targets, answers.trained)
    yield "shipped", task_metrics.compute(splits.test.targets, answers.shipped)
    if baseline is not None:
        yield "baseline", task_metrics.compute(splits.test.targets, task_metrics.as_scores(baseline(splits)))
    if checkpoint.record.cross_validated:
        yield "cross_validated", checkpoint.record.cross_validated


def _robustness(
    predictor: Predictor, task_metrics: TaskMetrics, test: Split, metric: str | None, rows: int
) -> tuple[RobustnessCurve, ...]:
    if metric is None or test.targets is None or not rows:
        return ()

    def evaluated(targets: NDArray[Any], found: Scores) -> Interval:
        return task_metrics.compute(targets, found)[metric]

    return curves(predictor, evaluated, test.inputs, test.targets, name=metric, most_rows=rows)


def _parity(
    answers: Answers,
    task_metrics: TaskMetrics,
    predictor: Predictor,
    exported: Path,
    test: Split,
    settings: ExportSettings,
    faults: Sequence[str],
) -> Iterator[Parity]:
    """Compares the model's own framework, ONNX Runtime and the reference evaluator; the last on a few rows.

    The reference is left out where it is known to be wrong.
    """
    pairs = [("onnxruntime", answers.source, answers.exported)]
    if not faults:
        picked, reference = _by_reference(exported, predictor, test)
        pairs.append(("onnx reference", answers.source[picked], reference))
    for name, trained, found in pairs:
        allowed = settings.tolerance * predictor.postprocessor.scale(answers.source)
        check = parity_of(task_metrics, answers.framework, name, trained, found, allowed, tails=answers.has_tails)
        where = "" if _is_close(check) else _where(faults, predictor, exported, test.inputs[0], settings.tolerance)
        yield require_parity(check, where=where)


def _by_reference(exported: Path, predictor: Predictor, test: Split) -> tuple[list[int], Scores]:
    """Asks the reference evaluator row by row until there are enough or it takes too long; returns which and what."""
    run, started = reference_run(exported, predictor.postprocessor.output), time.perf_counter()
    picked = np.random.default_rng(0).permutation(len(test))[:REFERENCE_ROWS].tolist()
    found: list[Scores] = []
    for index in picked:
        found.append(scores_of(run, predictor.postprocessor, predictor.processor, [test.inputs[index]]))
        if len(found) > 1 and time.perf_counter() - started > REFERENCE_S:
            break
    return picked[: len(found)], np.concatenate(found)


def _is_close(check: Parity) -> bool:
    return check.tolerance is None or check.max_difference <= check.tolerance


def _where(faults: Sequence[str], predictor: Predictor, exported: Path, row: Any, tolerance: float) -> str:
    """Says which node goes astray."""
    if faults:
        return f" Where it begins cannot be told: {faults[0]}."
    model_inputs = predictor.processor.batch(predictor.preprocess([row]))
    node = first_difference(exported, model_inputs, tolerance)
    return f" The first node that differs is {node}." if node else " All nodes agree: the export itself differs."
