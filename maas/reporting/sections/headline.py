"""The head of a page: what the model is, in a sentence, and its most important figures."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maas.reporting.figures import (
    LESS_IS_BETTER,
    byte_size,
    metric_interval,
    metric_value,
    milliseconds_text,
    percent,
    shown_number,
)
from maas.reporting.findings import Findings
from maas.reporting.wording import NO_TEXT, Wording, sentences
from maas.runtime.postprocessors.translation import SPOKEN_TEXT


@dataclass(frozen=True)
class Tile:
    """A figure that stands out.

    Args:
        name: what it is, as HTML.
        value: the figure.
        note: what it is to be compared with, as HTML.
    """

    name: Markup
    value: str
    note: Markup = NO_TEXT


@dataclass(frozen=True)
class Headline:
    """The head of a page.

    Args:
        name: name of the model.
        version: version in the registry; empty for none.
        task: task of the manifest.
        sentence: what the model does.
        tiles: its most important figures.
        labels: the first names that it predicts.
        more_labels: number of the others.
    """

    name: str
    version: str
    task: str
    sentence: Markup
    tiles: tuple[Tile, ...]
    labels: tuple[str, ...]
    more_labels: int


LABELS_SHOWN_FIRST = 12


def headline_of(found: Findings, words: Wording) -> Headline:
    """Returns the head of the page on a model."""
    manifest, labels = found.model.bundle.manifest, found.model.labels
    return Headline(
        manifest.name,
        found.model.version,
        manifest.task,
        _sentence(found, words),
        tuple(_tiles(found, words)),
        labels[:LABELS_SHOWN_FIRST],
        max(0, len(labels) - LABELS_SHOWN_FIRST),
    )


def _sentence(found: Findings, words: Wording) -> Markup:
    model, manifest = found.model, found.model.bundle.manifest
    if model.kind == "generation":
        return words.say("does_generation")
    is_speech = model.kind == "translation" and manifest.postprocessor.get("text") == SPOKEN_TEXT
    kind = "transcription" if is_speech else model.kind
    modality = words.name("modality", model.bundle.load_processor().modality)
    key = f"does_{kind}" if f"does_{kind}" in sentences() else "does_other"
    return words.say(key, modality=modality, count=len(model.labels), kind=kind)


def _tiles(found: Findings, words: Wording) -> Iterator[Tile]:
    model = found.model
    if model.evidence is not None and model.metric is not None:
        yield from _metric_tiles(found, model.metric, words)
    files = {model.bundle.folder / name for name in model.bundle.manifest.graphs.values()}
    size = sum(file.stat().st_size for file in files)
    yield Tile(words.say("model_size"), byte_size(size), _smaller(found, words))
    if found.latencies is not None:
        median = float(np.median(found.latencies.latencies_ms))
        yield Tile(words.say("one_row"), milliseconds_text(median), words.say("median_here"))
    if model.evidence is not None and "test" in model.evidence.data.rows:
        rows = model.evidence.data.rows
        note = words.say("trained_rows", rows=rows["train"]) if "train" in rows else NO_TEXT
        yield Tile(words.say("test_rows"), f"{rows['test']:,}", note)


def _metric_tiles(found: Findings, metric: str, words: Wording) -> Iterator[Tile]:
    metrics = found.model.evidence.metrics if found.model.evidence else {}
    value = metrics["shipped"][metric]
    name = words.name("metric", metric)
    yield Tile(name, metric_value(metric, value.value), words.say("interval", ends=metric_interval(metric, value)))
    if metric in metrics.get("baseline", {}):
        base = metrics["baseline"][metric].value
        gain = (base - value.value) if metric in LESS_IS_BETTER else (value.value - base)
        key = "better_than_baseline" if gain > 0 else "worse_than_baseline" if gain < 0 else "equal_to_baseline"
        by = _difference(metric, abs(gain))
        yield Tile(words.say("baseline"), metric_value(metric, base), words.say(key, by=by))


def _difference(metric: str, gain: float) -> str:
    shown = metric_value(metric, gain)
    return percent(gain).removesuffix(" %") + " pp" if shown.endswith("%") else shown_number(gain)


def _smaller(found: Findings, words: Wording) -> Markup:
    record = found.model.evidence.compression if found.model.evidence else None
    if record is None or not record.candidates:
        return words.say("precision_of", precision=found.model.bundle.manifest.precision)
    parent, chosen = record.candidates[0], record.candidate(record.chosen)
    if chosen is parent:
        return words.say("as_exported")
    return words.say("smaller_than", times=f"{parent.bytes / chosen.bytes:.1f}", precision=chosen.name)
