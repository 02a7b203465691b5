"""Trying every pass, measuring what it gives, and choosing what may ship."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.compression.budget import Budget
from maas.compression.passes import Calibration, Pass
from maas.data.splits import Split
from maas.errors import ExportError
from maas.evidence.benchmark import interleaved, latency
from maas.evidence.metrics import METRICS, classification_metrics, paired_drop
from maas.files import sha256_of
from maas.runtime.evidence import CandidateRecord, CompressionRecord, Latency
from maas.runtime.predictor import Predictor

PARENT = "fp32"
LATENCY_BATCHES = 8
BATCH_EFFECT_ROWS = 64


@dataclass(frozen=True)
class Search:
    """The `compress` section of a recipe.

    Args:
        budget: what may be lost.
        passes: what is tried, by name.
    """

    budget: Budget
    passes: Mapping[str, Pass]


@dataclass(frozen=True)
class Bench:
    """Where candidates are judged: validation rows, and the settings that the model is served with.

    Args:
        parent: a predictor over the uncompressed model.
        validation: rows that training did not see; the test split is not touched.
        classes: K.
        metric: a name in `METRICS`.
        calibration: training rows for passes.
    """

    parent: Predictor
    validation: Split
    classes: int
    metric: str
    calibration: Calibration

    def predictor(self, model: Path) -> Predictor:
        """Builds a predictor like the parent's over another ONNX file."""
        parent = self.parent
        return Predictor(
            model, parent.processor, parent.answer, batch_size=parent.batch_size, threads=parent.threads
        )


@dataclass(frozen=True)
class Attempt:
    """A pass that was applied: the model it made, or why it could not."""

    name: str
    settings: Pass | None
    path: Path
    seconds: float
    fault: str | None = None


def search(settings: Search, exported: Path, bench: Bench, folder: Path) -> tuple[CompressionRecord, Path]:
    """Applies every pass to the exported model, measures all that comes out in turns, and chooses.

    Of the candidates that keep the budget the one with the smallest product of size and time is chosen; if none does,
    the exported model is.

    Args:
        settings: budget and passes.
        exported: the ONNX file before compression.
        bench: where candidates are judged.
        folder: where candidates are written.

    Returns:
        The record of the search, and the chosen ONNX file.
    """
    attempts = [_attempt(name, one, exported, folder, bench.calibration) for name, one in settings.passes.items()]
    parent = Attempt(PARENT, None, exported, 0.0)
    working = [parent, *(attempt for attempt in attempts if attempt.fault is None)]
    predictors = {attempt.name: bench.predictor(attempt.path) for attempt in working}
    outputs = {name: predictor.outputs(bench.validation.inputs)["probabilities"] for name, predictor in predictors.items()}
    latencies = _latencies(predictors, bench)
    digest, size = sha256_of(exported), exported.stat().st_size
    records = [_judged(attempt, predictors, outputs, latencies, bench, settings.budget, digest, size) for attempt in [parent, *attempts]]
    chosen, reason = _choice(records)
    record = CompressionRecord(
        metric=bench.metric,
        budget=asdict(settings.budget),
        candidates=tuple(records),
        chosen=chosen,
        reason=reason,
        rows=len(bench.validation),
    )
    return record, next(attempt.path for attempt in working if attempt.name == chosen)


def _attempt(name: str, settings: Pass, exported: Path, folder: Path, calibration: Calibration) -> Attempt:
    started = time.perf_counter()
    out = folder / f"{name}.onnx"
    try:
        settings.apply(exported, out, calibration)
    except ExportError as error:
        return Attempt(name, settings, out, time.perf_counter() - started, str(error))
    return Attempt(name, settings, out, time.perf_counter() - started)


def _latencies(predictors: Mapping[str, Predictor], bench: Bench) -> dict[str, Latency]:
    """Times the same real batches on every model, in turns."""
    features = bench.parent.encode(bench.validation.inputs)
    batches = [batch for batch in bench.parent.batches(features) if len(batch) == bench.parent.batch_size]
    picked = [batches[index] for index in np.linspace(0, len(batches) - 1, min(LATENCY_BATCHES, len(batches))).astype(int)]
    feeds = [bench.parent.processor.collate([features[index] for index in batch]) for batch in picked or [[0]]]

    def run(predictor: Predictor) -> None:
        for feed in feeds:
            predictor.session.run(None, feed)

    times = interleaved({name: lambda model=model: run(model) for name, model in predictors.items()})  # type: ignore[misc]
    per_batch = {name: values / len(feeds) for name, values in times.items()}
    return {
        name: latency(values, per_batch[PARENT], bench.parent.batch_size, bench.parent.threads) for name, values in per_batch.items()
    }


def _judged(
    attempt: Attempt,
    predictors: Mapping[str, Predictor],
    outputs: Mapping[str, NDArray[np.float32]],
    latencies: Mapping[str, Latency],
    bench: Bench,
    budget: Budget,
    parent_sha256: str,
    parent_bytes: int,
) -> CandidateRecord:
    """Measures one attempt and finds what speaks against it."""
    common: dict[str, Any] = {
        "name": attempt.name,
        "target": f"{type(attempt.settings).__module__}.{type(attempt.settings).__qualname__}" if attempt.settings else "",
        "settings": asdict(attempt.settings) if attempt.settings else {},  # type: ignore[call-overload]
        "parent_sha256": parent_sha256,
        "seconds": round(attempt.seconds, 3),
    }
    if attempt.fault is not None:
        nothing = dict.fromkeys(("metric", "drop", "label_agreement", "batch_effect", "latency"))
        return CandidateRecord(**common, **nothing, sha256="", bytes=0, reasons=(attempt.fault,))
    targets, parent, own = bench.validation.targets, outputs[PARENT].argmax(axis=1), outputs[attempt.name].argmax(axis=1)
    measured: dict[str, Any] = {
        "drop": paired_drop(targets, parent, own, bench.classes, bench.metric, bench.calibration.seed),
        "label_agreement": float((parent == own).mean()),
        "batch_effect": batch_effect(predictors[attempt.name], bench.validation.inputs),
        "latency": latencies[attempt.name],
    }
    size = attempt.path.stat().st_size
    reasons = () if attempt.name == PARENT else tuple(budget.reasons(**measured, shrinks=size < parent_bytes))
    metric = classification_metrics(targets, own, bench.classes, bench.calibration.seed)[bench.metric]
    return CandidateRecord(**common, **measured, metric=metric, sha256=sha256_of(attempt.path), bytes=size, reasons=reasons)


def batch_effect(predictor: Predictor, rows: Any) -> float:
    """Returns the largest change of a probability when a row is answered alone instead of in a full batch."""
    picked = [rows[index] for index in np.linspace(0, len(rows) - 1, min(BATCH_EFFECT_ROWS, len(rows))).astype(int)]
    together = predictor.outputs(picked)["probabilities"]
    alone = np.concatenate([predictor.outputs([row])["probabilities"] for row in picked])
    return float(np.abs(together - alone).max())


def _choice(records: list[CandidateRecord]) -> tuple[str, str]:
    """Returns the chosen name and the reason, with numbers."""
    parent, *others = records
    allowed = [record for record in others if not record.reasons]
    if not allowed:
        tried = "; ".join(f"{record.name}: {', '.join(record.reasons)}" for record in others)
        return PARENT, f"No pass may ship ({tried})." if tried else "No pass was asked for."
    best = min(allowed, key=lambda record: record.bytes * _ratio(record))
    return best.name, (
        f"{parent.bytes / best.bytes:.2f} times smaller, a batch takes {_ratio(best):.2f} of the time, "
        f"{best.drop.value if best.drop else 0.0:.2f} points lost."
    )


def _ratio(record: CandidateRecord) -> float:
    return record.latency.ratio if record.latency else 1.0
