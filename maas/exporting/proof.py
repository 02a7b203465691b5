"""Proving a drafted bundle: it predicts as the trained model does, and this is how good it is."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Split
from maas.errors import ParityError
from maas.evidence.baselines import Baseline
from maas.evidence.machine import this_machine
from maas.evidence.parity import first_difference, parity_of, reference_run, require_parity
from maas.evidence.reference_faults import reference_faults
from maas.evidence.robustness import curves
from maas.evidence.task_metrics.base import Scores
from maas.exporting.edge_parity import parity_at_edges
from maas.exporting.settings import ExportSettings
from maas.exporting.source import Source, SourceModel
from maas.records.evidence import EVIDENCE_VERSION, CompressionRecord, Evidence, Interval, Parity, RobustnessCurve
from maas.runtime.bundle import Bundle
from maas.runtime.model import Predictor
from maas.runtime.postprocessors.classification import thresholds_by_label
from maas.training.evaluation import scores_of
from maas.training.reopening import differing

REFERENCE_ROWS = 64
"""Rows for onnx's reference evaluator, which takes seconds for what ONNX Runtime does in milliseconds."""
REFERENCE_S = 15.0
"""Fewer rows are taken where they would take longer; two at least."""


@dataclass(frozen=True)
class ProofScores:
    """Scores of the test rows, (N, K) each.

    Args:
        trained: scores of the source before it was exported.
        exported_from: scores of what the graph was exported from: the source, or what passes made of it.
        exported: scores of the graph as exported.
        shipped: scores of what ships.
    """

    trained: Scores
    exported_from: Scores
    exported: Scores
    shipped: Scores


def prove(
    bundle: Bundle,
    source: Source,
    exported: Path,
    settings: ExportSettings,
    *,
    exported_from: SourceModel | None = None,
    baseline: Baseline | None = None,
    compression: CompressionRecord | None = None,
) -> Evidence:
    """Measures a bundle on the test rows.

    Args:
        bundle: what would ship.
        source: what it was made of.
        exported: ONNX file before compression.
        settings: tolerances.
        exported_from: what `exported` was exported from, where passes made another net of the source's.
        baseline: what a user would pick instead; None for nothing.
        compression: how `bundle` was made smaller; None where it was not.

    Raises:
        ParityError: the exported graph differs from the model, or the shipped model from the exported one.
    """
    predictor, rows, size = bundle.make_predictor(model=exported), source.rows.test, bundle.manifest.serving.batch_size
    model = exported_from or source.model
    trained = source.model.scores(rows.inputs, size)
    scores = ProofScores(
        trained=trained,
        exported_from=trained if exported_from is None else exported_from.scores(rows.inputs, size),
        exported=predictor.scores(rows.inputs),
        shipped=bundle.predictor.scores(rows.inputs),
    )
    faults = reference_faults(exported)
    try:
        parity = list(_parity(scores, source, predictor, exported, settings, faults))
    except ParityError:
        _require_repeatable(model, rows.inputs[:size], scores.exported_from, size)
        raise
    parity += parity_at_edges(model, source.task_metrics, predictor, rows, settings.tolerance)
    parity += _parity_of_shipped(bundle, source, scores, settings, is_other_net=exported_from is not None)
    confusion = None if rows.targets is None else source.task_metrics.confusion(rows.targets, scores.shipped)
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=source.rows.record,
        metrics=dict(_metrics(scores, source, baseline)),
        confusion=None if confusion is None else tuple(map(tuple, confusion.tolist())),
        robustness=_robustness(bundle.predictor, source, settings.robustness_rows),
        parity=tuple(parity),
        compression=compression,
        seconds={},
        parent_sha256=source.parent_sha256,
        reference_faults=faults,
        thresholds=thresholds_by_label(bundle.predictor.postprocessor),
    )


def _parity_of_shipped(
    bundle: Bundle, source: Source, scores: ProofScores, settings: ExportSettings, *, is_other_net: bool
) -> Iterator[Parity]:
    """Compares what ships with what it was made of."""
    task_metrics = source.task_metrics
    if bundle.manifest.precision != source.precision:
        shipped = parity_of(task_metrics, "exported", "shipped", scores.exported, scores.shipped)
        advice = " Set compress=none to ship fp32, or a lower export.min_agreement."
        yield require_parity(shipped, min_agreement=settings.min_agreement, where=advice)
    if is_other_net:  # how far the answers moved; whether that is too far is said by the metric
        yield parity_of(task_metrics, "trained", "shipped", scores.trained, scores.shipped)


def _require_repeatable(model: SourceModel, rows: Sequence[Any], before: Scores, batch_size: int) -> None:
    """Raises ParityError where a model answers otherwise each time it is opened: it is at fault, and not its export."""
    expected, again = before[: len(rows)], model.reopened().scores(rows, batch_size)
    if differing(expected, again).any():
        found = float(np.abs(expected - again).max())
        raise ParityError(
            f"{model.origin} is random: opened again, it predicts the same rows otherwise, by up to {found:.3g}. Keep "
            "what it draws when it is built in a buffer (persistent=True), pass training=self.training to functional "
            "dropout, and train again.",
            found=found,
            allowed=0.0,
        )


def _metrics(
    scores: ProofScores, source: Source, baseline: Baseline | None
) -> Iterator[tuple[str, dict[str, Interval]]]:
    """Yields whose metrics, and the metrics."""
    targets, task_metrics = source.rows.test.targets, source.task_metrics
    if targets is None:
        return
    yield "trained", task_metrics.compute(targets, scores.trained)
    yield "shipped", task_metrics.compute(targets, scores.shipped)
    if baseline is not None:
        found = baseline(source.rows)
        for name, predicted in (found if isinstance(found, Mapping) else {"baseline": found}).items():
            has_scores = predicted.ndim == 2
            yield name, (task_metrics.compute if has_scores else task_metrics.of_predictions)(targets, predicted)
    if source.cross_validated:
        yield "cross_validated", dict(source.cross_validated)


def _robustness(predictor: Predictor, source: Source, rows: int) -> tuple[RobustnessCurve, ...]:
    test, metric, task_metrics = source.rows.test, source.metric, source.task_metrics
    if metric is None or test.targets is None or not rows:
        return ()

    def evaluated(targets: NDArray[Any], found: Scores) -> Interval:
        return task_metrics.value(targets, found, metric)

    return curves(predictor, evaluated, test.inputs, test.targets, name=metric, most_rows=rows)


def _parity(
    scores: ProofScores,
    source: Source,
    predictor: Predictor,
    exported: Path,
    settings: ExportSettings,
    faults: Sequence[str],
) -> Iterator[Parity]:
    """Compares the model's own framework, ONNX Runtime and the reference evaluator; the last on a few rows.

    The reference is left out where it is known to be wrong.
    """
    before, test, model = scores.exported_from, source.rows.test, source.model
    pairs = [("onnxruntime", before, scores.exported)]
    if not faults:
        picked, reference = _by_reference(exported, predictor, test)
        pairs.append(("onnx reference", before[picked], reference))
    for name, expected, found in pairs:
        allowed = settings.tolerance * predictor.postprocessor.scale(before)
        check = parity_of(source.task_metrics, model.framework, name, expected, found, allowed, tails=model.has_tails)
        where = "" if _is_close(check) else _where(faults, predictor, exported, test.inputs[0], settings.tolerance)
        yield require_parity(check, where=where)


def _by_reference(exported: Path, predictor: Predictor, test: Split) -> tuple[list[int], Scores]:
    """Runs the reference evaluator row by row, until it takes too long; returns the rows' positions and the scores."""
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


def _where(faults: Sequence[str], predictor: Predictor, exported: Path, row: object, tolerance: float) -> str:
    """Returns which node differs first, as the end of a message."""
    if faults:
        return f" Where it begins is not known: {faults[0]}."
    model_inputs = predictor.processor.batch(predictor.preprocess([row]))
    node = first_difference(exported, model_inputs, tolerance)
    return f" The first node that differs is {node}." if node else " All nodes agree: the export itself differs."
