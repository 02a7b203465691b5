"""How a model became what ships: the line, the search for a smaller one, and what a request costs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maas.records.evidence import CandidateRecord, CompressionRecord, Interval, Latency, Machine
from maas.reporting.charts.candidates import candidate_charts, verdict_of
from maas.reporting.charts.costs import DRAWN_PERCENTILES, latency_chart
from maas.reporting.charts.plot import Chart
from maas.reporting.figures import byte_size, milliseconds_text, percent, seconds_text, shown_number
from maas.reporting.findings import Findings
from maas.reporting.sections import Section
from maas.reporting.wording import NO_TEXT, Wording

SHOWN_STAGES = ("train", "compress", "export", "verify", "register")


@dataclass(frozen=True)
class StageLine:
    """A stage of the line: its name, what it gave, as HTML, and its time."""

    name: Markup
    gave: Markup
    seconds: str


@dataclass(frozen=True)
class CandidateLine:
    """A candidate of compression, as a page shows it.

    Args:
        number: number of its mark in the charts.
        name: name of the candidate.
        size: size of its file.
        smaller: how many times smaller than the model as exported it is.
        lost: what it loses, with an interval.
        time: its time against the model as exported.
        kept: fraction of predictions that are the same.
        verdict: class of its mark: `good`, `one` or `bad`.
        reasons: why it was refused.
    """

    number: int
    name: str
    size: str
    smaller: str
    lost: str
    time: str
    kept: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CompressionView:
    """The search for a smaller model.

    Args:
        reason: why the chosen one was chosen, as the search has it.
        is_unmet: whether nothing kept the budget.
        budget: limits that were set: name and value.
        lost_head: what the losses are, as HTML.
        lines: candidates.
        charts: what they lose.
        pruned: pipelines that were not followed to their end, and why.
    """

    reason: str
    is_unmet: bool
    budget: tuple[tuple[Markup, str], ...]
    lost_head: Markup
    lines: tuple[CandidateLine, ...]
    charts: tuple[Chart, ...]
    pruned: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BatchLine:
    """Time of one batch size."""

    batch: int
    threads: int
    median: str
    spread: str
    rows_per_second: str


@dataclass(frozen=True)
class LatencyView:
    """What requests cost.

    Args:
        chart: times of single rows here and now; None where they were not measured.
        percentiles: name and time.
        here: the machine that this was measured on, as HTML.
        batches: times of batches of the graph, as the evidence has them.
        there: the machine of the evidence, as HTML.
        load: time until the file is open; empty where that was not measured.
        memory: largest memory of a process that predicts; likewise.
    """

    chart: Chart | None
    percentiles: tuple[tuple[str, str], ...]
    here: Markup
    batches: tuple[BatchLine, ...]
    there: Markup
    load: str
    memory: str


def line_section(found: Findings, words: Wording) -> Section | None:
    """Returns the stages, what each gave and how long it took; None where nothing is known of them."""
    lines = tuple(
        StageLine(words.say(f"stage_{stage}"), gave, seconds_text(seconds) if seconds is not None else "")
        for stage in SHOWN_STAGES
        if (gave := _gave(stage, found, words)) or stage in found.model.seconds
        for seconds in (found.model.seconds.get(stage),)
    )
    return Section("line", "line.html.j2", lines) if lines else None


def _gave(stage: str, found: Findings, words: Wording) -> Markup:
    makers = {"train": _trained, "compress": _searched, "export": _bundled, "verify": _proven, "register": _registered}
    return makers[stage](found, words)


def _trained(found: Findings, words: Wording) -> Markup:
    training = found.model.training
    if training is None or not training.history:
        return words.say("gave_as_it_came") if training and training.net else NO_TEXT
    if training.best_epoch is None:
        return words.say("gave_epochs", epochs=len(training.history))
    return words.say("gave_best_epoch", epochs=len(training.history), epoch=training.best_epoch + 1)


def _searched(found: Findings, words: Wording) -> Markup:
    record = found.model.evidence.compression if found.model.evidence else None
    if record is None:
        return NO_TEXT
    tried = len(record.candidates) - 1
    return words.say("gave_candidates", tried=tried, chosen=record.chosen) if tried else words.say("gave_no_pass")


def _bundled(found: Findings, words: Wording) -> Markup:
    return words.say("gave_bundle", size=_size(found))


def _proven(found: Findings, words: Wording) -> Markup:
    parity = found.model.evidence.parity if found.model.evidence else ()
    exact = [one for one in parity if one.tolerance is not None]
    if not exact:
        return NO_TEXT
    worst = max(exact, key=lambda one: one.max_difference)
    return words.say("gave_proof", rows=max(one.rows for one in exact), difference=f"{worst.max_difference:.1e}")


def _registered(found: Findings, words: Wording) -> Markup:
    return words.say("gave_version", version=found.model.version) if found.model.version else NO_TEXT


def _size(found: Findings) -> str:
    return byte_size(found.model.bundle.model_path.stat().st_size)


def compression_section(found: Findings, words: Wording) -> Section | None:
    """Returns the candidates with what they lose, and reasons of refusals; None where no pass was tried."""
    record = found.model.evidence.compression if found.model.evidence else None
    if record is None or len(record.candidates) + len(record.pruned_trials) < 2:
        return None
    parent = record.candidates[0]
    lost = "perplexity_ratio" if parent.perplexity_ratio else "metric_drop" if parent.drop else "changed_predictions"
    content = CompressionView(
        record.reason,
        record.is_unmet,
        tuple((words.name("budget", key), f"{value:g}") for key, value in record.budget.items() if value is not None),
        words.say(lost),
        tuple(_candidate(number, one, record) for number, one in enumerate(record.candidates)),
        tuple(candidate_charts(record, words)),
        tuple(record.pruned_trials.items()),
    )
    return Section("compression", "compression.html.j2", content)


def _candidate(number: int, one: CandidateRecord, record: CompressionRecord) -> CandidateLine:
    parent = record.candidates[0]
    changed = None if one.agreement is None else f"{100 * (1 - one.agreement):.2f}"
    lost = _with_ends(one.perplexity_ratio or one.drop) or ("" if parent.drop or parent.perplexity_ratio else changed)
    return CandidateLine(
        number=number,
        name=one.name,
        size=byte_size(one.bytes) if one.bytes else "",
        smaller=f"{parent.bytes / one.bytes:.2f}" if one.bytes else "",
        lost=lost or "",
        time=f"{one.time_ratio:.2f}" if one.latency else "",
        kept="" if one.agreement is None else percent(one.agreement, 2),
        verdict=verdict_of(one, record.chosen),
        reasons=one.reasons,
    )


def _with_ends(interval: Interval | None) -> str:
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]" if interval else ""


def latency_section(found: Findings, words: Wording) -> Section | None:
    """Returns times of rows and batches, with the machines that they were measured on; None where there are none."""
    evidence, here = found.model.evidence, found.latencies
    record = evidence.compression if evidence else None
    chosen = record.candidate(record.chosen) if record and record.candidates else None
    batches = (
        tuple(map(_batch, sorted(chosen.latencies, key=lambda one: (one.threads, one.batch_size)))) if chosen else ()
    )
    if here is None and not batches:
        return None
    return Section(
        "latency",
        "latency.html.j2",
        LatencyView(
            chart=latency_chart(here.latencies_ms, words) if here else None,
            percentiles=tuple(_percentiles(here.latencies_ms.tolist())) if here else (),
            here=machine_text(here.machine, words, threads=here.threads) if here else NO_TEXT,
            batches=batches,
            there=machine_text(evidence.machine, words) if evidence else NO_TEXT,
            load=milliseconds_text(chosen.load_ms) if chosen and chosen.load_ms is not None else "",
            memory=byte_size(chosen.peak_bytes) if chosen and chosen.peak_bytes is not None else "",
        ),
    )


def machine_text(machine: Machine, words: Wording, threads: int | None = None) -> Markup:
    """Returns a machine in a sentence."""
    values = {
        "processor": machine.processor,
        "cores": machine.cores,
        "memory": byte_size(machine.memory_bytes),
        "system": machine.system,
        "runtime": machine.onnxruntime,
    }
    return (
        words.say("machine", **values) if threads is None else words.say("machine_threads", threads=threads, **values)
    )


def _percentiles(latencies_ms: list[float]) -> Iterator[tuple[str, str]]:
    for percentile, value in zip(
        DRAWN_PERCENTILES, np.percentile(latencies_ms, DRAWN_PERCENTILES).tolist(), strict=True
    ):
        yield f"p{percentile}", milliseconds_text(value)


def _batch(one: Latency) -> BatchLine:
    return BatchLine(
        one.batch_size,
        one.threads,
        milliseconds_text(one.median_ms),
        milliseconds_text(one.iqr_ms),
        shown_number(round(1e3 * one.batch_size / one.median_ms)) if one.median_ms else "",
    )
