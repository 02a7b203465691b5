"""Trying every pass, judging what it gives, and choosing what may ship."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import msgspec

from maas.compression.budget import Budget
from maas.compression.measuring import Bench
from maas.compression.passes import Pass
from maas.errors import BudgetError, BundleError, ExportError
from maas.files import sha256_of
from maas.runtime.evidence import CandidateRecord, CompressionRecord

PARENT = "fp32"


@dataclass(frozen=True)
class Search:
    """The `compress` section of a recipe.

    Args:
        budget: what may be lost.
        passes: what is tried, by name.
    """

    budget: Budget
    passes: Mapping[str, Pass]


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

    Raises:
        BudgetError: a pass is named as the parent is, or is of a kind that is not searched yet.
    """
    parent = CandidateRecord(
        name=PARENT, parent_sha256="", sha256=sha256_of(exported), bytes=exported.stat().st_size, seconds=0.0
    )
    require_searchable(settings)
    models = {PARENT: exported, **{name: folder / f"{name}.onnx" for name in settings.passes}}
    made = [_made(name, one, models, parent, bench) for name, one in settings.passes.items()]
    records = _measured([parent, *made], models, bench, settings.budget)
    chosen, reason = _choice(records)
    record = CompressionRecord(
        metric=bench.metric,
        budget=asdict(settings.budget),
        candidates=tuple(records),
        chosen=chosen,
        reason=reason,
        rows=len(bench.validation),
    )
    return record, models[chosen]


def require_searchable(settings: Search) -> None:
    """Raises BudgetError where a pass is named as the parent is, or is of a kind that is not searched yet."""
    for name, one in settings.passes.items():
        if one.side != "onnx":
            raise BudgetError(
                f"compress.passes.{name} works on a {one.side}; this version searches passes over ONNX files."
            )
    if PARENT in settings.passes:
        raise BudgetError(f"compress.passes.{PARENT} is the name of the model as exported; give the pass another name.")


def _made(name: str, one: Pass, models: Mapping[str, Path], parent: CandidateRecord, bench: Bench) -> CandidateRecord:
    """Applies one pass; a pass that cannot be applied leaves a record that says why."""
    started, out = time.perf_counter(), models[name]
    fault: tuple[str, ...] = ()
    try:
        one.apply(models[PARENT], out, bench.calibration)
        bench.predictor(out)  # a graph that the runtime cannot open is refused like any other
    except (ExportError, BundleError) as error:
        fault = (str(error),)
    return CandidateRecord(
        name=name,
        target=f"{type(one).__module__}.{type(one).__qualname__}",
        settings={field.name: getattr(one, field.name) for field in fields(one)},
        parent_sha256=parent.sha256,
        sha256="" if fault else sha256_of(out),
        bytes=0 if fault else out.stat().st_size,
        seconds=round(time.perf_counter() - started, 3),
        reasons=fault,
    )


def _measured(
    records: list[CandidateRecord], models: Mapping[str, Path], bench: Bench, budget: Budget
) -> list[CandidateRecord]:
    """Adds to each record what was measured and what speaks against it; those that failed stay as they are."""
    predictors = {record.name: bench.predictor(models[record.name]) for record in records if not record.reasons}
    answers = {name: bench.predictions(predictor) for name, predictor in predictors.items()}
    latencies = bench.latencies(predictors, PARENT)

    def measured(record: CandidateRecord) -> CandidateRecord:
        own, parent = answers[record.name], answers[PARENT]
        full = msgspec.structs.replace(
            record,
            metric=bench.value(own),
            drop=bench.drop(parent, own),
            agreement=float(bench.judge.agrees(parent, own).mean()),
            batch_effect=bench.batch_effect(predictors[record.name]),
            latency=latencies[record.name],
        )
        refused = () if record.name == PARENT else tuple(budget.reasons(full, records[0]))
        return msgspec.structs.replace(full, reasons=refused)

    return [measured(record) if record.name in predictors else record for record in records]


def _choice(records: list[CandidateRecord]) -> tuple[str, str]:
    """Returns the chosen name and the reason, with numbers."""
    parent, *others = records
    allowed = [record for record in others if not record.reasons]
    if not allowed:
        tried = "; ".join(f"{record.name}: {', '.join(record.reasons)}" for record in others)
        return PARENT, f"No pass may ship ({tried})." if tried else "No pass was asked for."
    best = min(allowed, key=lambda record: record.bytes * record.time_ratio)
    lost = f", {best.drop.value:.2f} points lost" if best.drop else ""
    return best.name, (
        f"{parent.bytes / best.bytes:.2f} times smaller, a batch takes {best.time_ratio:.2f} of the time{lost}."
    )
