"""Several bundles on the same rows: who answers better, by how much, where they differ, how fast, how large."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from onnxruntime import InferenceSession

from maas.data.splits import Split
from maas.errors import BundleError
from maas.evidence.benchmark import TIMED_AMONG, interleaved, latency, timed_batches
from maas.evidence.task_metrics import TaskMetrics, task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.records.evidence import Interval, Latency, Slice
from maas.runtime.bundle import Bundle
from maas.runtime.codec import ModelInputs

BATCHES = 4
SLICES = 3
EVALUATED = ("classification", "multilabel", "regression", "transcription")
"""Kinds of predictions that rows have targets for."""
NAMED_LABELS = 20
"""Labels that a message names at most."""


class ComparedBundle(msgspec.Struct, frozen=True):
    """A bundle beside the first one.

    Args:
        name: address that was given for it.
        version: of its model, and how it was compressed.
        bytes: size of its ONNX file.
        metric: on the rows; null where they have no targets.
        drop: the first one's metric minus its own, in percentage points, with a paired interval; null for the first.
        agreement: fraction of rows with the first one's prediction.
        disagreements: rows with another prediction.
        slices: the labels on which it loses most against the first.
        latencies: at batches of 1 and of the first one's size, against the first.
    """

    name: str
    precision: str
    bytes: int
    metric: Interval | None
    drop: Interval | None
    agreement: float
    disagreements: int
    slices: tuple[Slice, ...]
    latencies: tuple[Latency, ...]


def compare_bundles(
    bundles: Mapping[str, Bundle], rows: Split, labels: Sequence[str], metric: str | None
) -> list[ComparedBundle]:
    """Answers the same raw rows by every bundle, each by its own processor.

    Args:
        bundles: by name; the others are compared with the first.
        rows: that none of them was trained on.
        labels: names of the targets, where they are labels.
        metric: by its name in the evidence; None for none.

    Raises:
        BundleError: their answers are of different kinds, or the rows' targets mean something else.
    """
    require_one_task(bundles)
    _require_of(bundles, rows, labels)
    first = next(iter(bundles.values()))
    task_metrics = task_metrics_of(first.manifest.postprocessor["kind"], labels, metric)
    scores = {name: bundle.predictor.scores(rows.inputs) for name, bundle in bundles.items()}
    comparable, labelled = (_comparable(bundles, scores, by) for by in (metric, None))
    reference, labelled_reference = (next(iter(one.values())) for one in (comparable, labelled))
    times, targets = _latencies(bundles, rows), rows.targets
    found = []
    for name, bundle in bundles.items():
        own = comparable[name]
        same = task_metrics.agrees(labelled_reference, labelled[name])
        lost = sorted(
            task_metrics.slices(targets, labels, labelled_reference, labelled[name]), key=lambda one: -one.drop
        )
        found.append(
            ComparedBundle(
                name=name,
                precision=bundle.manifest.precision,
                bytes=bundle.model_path.stat().st_size,
                metric=task_metrics.value(targets, own, metric) if metric and targets is not None else None,
                drop=_drop(task_metrics, targets, reference, own, metric),
                agreement=float(same.mean()),
                disagreements=int((~same).sum()),
                slices=tuple(one for one in lost[:SLICES] if one.drop > 0),
                latencies=times[name],
            )
        )
    return found


def comparable_scores(bundle: Bundle, scores: Scores, metric: str | None) -> Scores:
    """Returns a bundle's scores of rows, (N, K), as other bundles' are compared with them.

    Args:
        bundle: whose thresholds decide labels.
        scores: (N, K).
        metric: that compares them; None where predictions are compared.
    """
    postprocessor = bundle.predictor.postprocessor
    own = task_metrics_of(postprocessor.kind, postprocessor.labels, metric, postprocessor.thresholds)
    return own.comparable(scores, metric)


def _comparable(bundles: Mapping[str, Bundle], scores: Mapping[str, Scores], metric: str | None) -> dict[str, Scores]:
    return {name: comparable_scores(bundle, scores[name], metric) for name, bundle in bundles.items()}


def _drop(
    task_metrics: TaskMetrics, targets: np.ndarray | None, reference: Scores, own: Scores, metric: str | None
) -> Interval | None:
    if metric is None or targets is None or own is reference:
        return None
    return task_metrics.drop(targets, reference, own, metric)


def require_one_task(bundles: Mapping[str, Bundle]) -> None:
    """Raises BundleError where bundles answer with different kinds of predictions, or other labels, or with texts."""
    for bundle in bundles.values():
        bundle.require_predictive()
    records = {name: bundle.manifest.postprocessor for name, bundle in bundles.items()}
    (first, wanted), *others = records.items()
    for name, record in others:
        if (record["kind"], _names(record)) != (wanted["kind"], _names(wanted)):
            raise BundleError(
                f"{name} answers with {_said(record)}, {first} with {_said(wanted)}; compare models of one task."
            )


def _require_of(bundles: Mapping[str, Bundle], rows: Split, labels: Sequence[str]) -> None:
    """Raises BundleError where rows carry other labels than the bundles predict, or carry them in another order."""
    name, record = next((name, bundle.manifest.postprocessor) for name, bundle in bundles.items())
    is_evaluated = rows.targets is not None and record["kind"] in EVALUATED
    if is_evaluated and list(labels) != _names(record):
        is_of_texts = rows.targets is not None and rows.targets.dtype.kind == "O"
        of_labels = "multilabel" if rows.targets is not None and rows.targets.ndim == 2 else "classification"
        kind = "transcription" if is_of_texts else of_labels if labels else "regression"
        rows_are_for = {"kind": kind, "labels": labels}
        raise BundleError(
            f"{name} answers with {_said(record)}, and the rows are for {_said(rows_are_for)}. Name the recipe that it "
            "was trained by: recipe=NAME."
        )


def _names(record: Mapping[str, Any]) -> list[str]:
    """Returns the labels of predictions, or the characters of texts."""
    return list(record.get("labels") or record.get("characters") or ())


def _said(record: Mapping[str, Any]) -> str:
    labels = _names(record)
    more = [f"{len(labels) - NAMED_LABELS:,} more"] if len(labels) > NAMED_LABELS else []
    return f"{record['kind']} of {', '.join([*labels[:NAMED_LABELS], *more])}" if labels else str(record["kind"])


def _latencies(bundles: Mapping[str, Bundle], rows: Split) -> dict[str, tuple[Latency, ...]]:
    """Times the same rows on every model, in turns, with the first one's batch size and threads."""
    first = next(iter(bundles.values())).predictor
    predictors = {name: bundle.make_predictor(threads=first.threads) for name, bundle in bundles.items()}
    among = rows.spread(TIMED_AMONG).inputs
    features = first.preprocess(among)
    found: dict[str, list[Latency]] = {name: [] for name in bundles}
    for size in sorted({1, first.batch_size}):
        batches = timed_batches(first.processor, features, size, BATCHES)
        runs: dict[str, Callable[[], None]] = {}
        for name, predictor in predictors.items():
            picked = [predictor.preprocess([among[index] for index in batch]) for batch in batches]
            model_inputs = [predictor.processor.batch(one) for one in picked]
            runs[name] = _running(predictor.session, model_inputs)
        times = interleaved(runs)
        against = next(iter(times.values()))
        for name, values in times.items():
            found[name].append(latency(values / len(batches), against / len(batches), size, first.threads))
    return {name: tuple(measured) for name, measured in found.items()}


def _running(session: InferenceSession, model_inputs: Sequence[ModelInputs]) -> Callable[[], None]:
    def run() -> None:
        for one in model_inputs:
            session.run(None, one)

    return run
