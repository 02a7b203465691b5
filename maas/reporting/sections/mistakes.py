"""Where a model is wrong: confused labels, probabilities, errors of numbers, groups of rows, and rows to look at."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maas.reporting.charts.numbers import number_charts
from maas.reporting.charts.plot import Chart
from maas.reporting.charts.probabilities import calibration_chart, confidence_chart, threshold_charts
from maas.reporting.curves import calibration_bins, confused_pairs, precision_recall_of, roc_of
from maas.reporting.examples import ChosenExamples
from maas.reporting.figures import percent, shown_number
from maas.reporting.findings import Findings
from maas.reporting.predicting import PredictedRows
from maas.reporting.sections import Section
from maas.reporting.sections.measured import Charts, IntervalMark, interval_mark
from maas.reporting.slices import RowSlice, SlicedRows, label_slices, row_slices
from maas.reporting.wording import Wording

MATRIX_LABELS = 12
"""Labels up to which all of a confusion matrix is shown; of more, the most frequent mistakes."""
SHOWN_PAIRS = 15
SHOWN_SLICES = 12


@dataclass(frozen=True)
class ConfusionCell:
    """Rows of a true label with a predicted one: their number, and their fraction of the true label's rows."""

    rows: int
    fraction: float
    is_right: bool


@dataclass(frozen=True)
class Confusion:
    """True labels and predicted ones.

    Args:
        labels: the K names.
        matrix: a row a true label; empty where there are too many.
        pairs: true label, predicted label, number of rows and fraction of the true label's rows, of frequent mistakes.
        mistakes: number of rows with a wrong label.
        rows: number of all rows.
    """

    labels: tuple[str, ...]
    matrix: tuple[tuple[ConfusionCell, ...], ...]
    pairs: tuple[tuple[str, str, int, str], ...]
    mistakes: int
    rows: int


@dataclass(frozen=True)
class SliceLine:
    """A slice as a page shows it.

    Args:
        name: what its rows share, as HTML.
        rows: number of them.
        value: as people read it.
        ends: its interval.
        mark: where both lie among all slices.
        is_worse: whether the interval ends before the value of all rows.
    """

    name: Markup
    rows: int
    value: str
    ends: str
    mark: IntervalMark
    is_worse: bool


@dataclass(frozen=True)
class SliceTable:
    """Slices of rows, the worst first.

    Args:
        overall: all rows.
        lines: slices.
        head: what the values are, as HTML.
        note: how many slices there were.
    """

    overall: SliceLine
    lines: tuple[SliceLine, ...]
    head: Markup
    note: Markup


def confusion_section(found: Findings, _: Wording) -> Section | None:
    """Returns which labels are taken for which; None where predictions are no labels."""
    evidence = found.model.evidence
    if evidence is None or evidence.confusion is None or not found.model.labels:
        return None
    counts, labels = np.array(evidence.confusion), found.model.labels
    totals = counts.sum(axis=1)
    matrix = [
        tuple(
            ConfusionCell(int(count), float(count / max(1, total)), row == column) for column, count in enumerate(line)
        )
        for row, (line, total) in enumerate(zip(counts, totals, strict=True))
    ]
    pairs = [
        (labels[true], labels[predicted], rows, percent(rows / max(1, int(totals[true]))))
        for true, predicted, rows in confused_pairs(evidence.confusion, SHOWN_PAIRS)
    ]
    is_small = len(labels) <= MATRIX_LABELS
    mistakes = int(counts.sum() - np.trace(counts))
    content = Confusion(
        labels, tuple(matrix) if is_small else (), () if len(labels) <= 2 else tuple(pairs), mistakes, int(counts.sum())
    )
    return Section("confusion", "confusion.html.j2", content)


def probabilities_section(found: Findings, words: Wording) -> Section | None:
    """Returns calibration, and curves over thresholds of two labels; None without rows of labels."""
    rows = found.rows
    if rows is None or not rows.labels or rows.targets is None or (is_right := rows.is_right) is None:
        return None
    bins = calibration_bins(rows.scores.max(axis=1).astype(np.float64), is_right)
    charts = [calibration_chart(bins, words), confidence_chart(bins, words), *_thresholds(rows, words)]
    return Section("probabilities", "charts.html.j2", Charts(words.say(found.origin, **_counts(rows)), tuple(charts)))


def numbers_section(found: Findings, words: Wording) -> Section | None:
    """Returns predicted over true numbers, and the errors; None without rows of numbers."""
    rows = found.rows
    if rows is None or rows.errors is None or rows.targets is None:
        return None
    charts = tuple(number_charts(rows.targets, rows.scores[:, 0].astype(np.float64), words))
    return Section("numbers", "charts.html.j2", Charts(words.say(found.origin, **_counts(rows)), charts))


def slices_section(found: Findings, words: Wording) -> Section | None:
    """Returns the rows where the model loses most; None where no truth is known."""
    tables = tuple(_tables(found, words))
    return Section("slices", "slices.html.j2", tables) if tables else None


def _counts(rows: PredictedRows) -> dict[str, object]:
    return {"rows": len(rows.inputs), "total": rows.total}


def _thresholds(rows: PredictedRows, words: Wording) -> Iterator[Chart]:
    if len(rows.labels) != 2 or rows.targets is None or len(np.unique(rows.targets)) < 2:
        return
    is_positive, probabilities = rows.targets == 1, rows.scores[:, 1].astype(np.float64)
    yield from threshold_charts(
        roc_of(is_positive, probabilities), precision_recall_of(is_positive, probabilities), rows.labels[1], words
    )


def _tables(found: Findings, words: Wording) -> Iterator[SliceTable]:
    evidence, rows = found.model.evidence, found.rows
    if evidence is not None and evidence.confusion is not None and found.model.labels:
        yield _table(label_slices(evidence.confusion, found.model.labels), words.say("fraction_found"), words)
    if rows is None or (goodness := rows.errors if rows.is_right is None else rows.is_right) is None:
        return
    sliced = row_slices(rows.inputs, goodness)
    if sliced.slices:
        yield _table(sliced, words.say("mean_error" if sliced.is_error else "fraction_right"), words)


def _table(sliced: SlicedRows, head: Markup, words: Wording) -> SliceTable:
    shown = sliced.slices[:SHOWN_SLICES]
    every = [one.value for one in (*shown, sliced.overall)]
    low, high = min(one.low for one in every), max(one.high for one in every)
    lines = [_line(one, low, high, sliced, words) for one in (sliced.overall, *shown)]
    note = words.say("slices_note", shown=len(shown), found=sliced.found)
    return SliceTable(lines[0], tuple(lines[1:]), head, note)


def _line(one: RowSlice, low: float, high: float, sliced: SlicedRows, words: Wording) -> SliceLine:
    value, overall = one.value, sliced.overall.value.value
    is_worse = value.low > overall if sliced.is_error else value.high < overall
    shown = shown_number(value.value) if sliced.is_error else percent(value.value)
    ends = _ends(value.low, value.high, is_error=sliced.is_error)
    return SliceLine(words.say(one.key, **one.values), one.rows, shown, ends, interval_mark(value, low, high), is_worse)


def _ends(low: float, high: float, *, is_error: bool) -> str:
    if is_error:
        return f"{shown_number(low)} – {shown_number(high)}"
    return f"{100 * low:.1f}–{100 * high:.1f} %"


@dataclass(frozen=True)
class ExampleView:
    """Rows with their predictions, and whether these are numbers."""

    chosen: ChosenExamples
    is_number: bool


def examples_section(found: Findings, _: Wording) -> Section | None:
    """Returns rows with their predictions; None where none are shown."""
    chosen = found.examples
    if not (chosen.wrong or chosen.right or chosen.others):
        return None
    is_number = found.rows is not None and found.rows.errors is not None
    return Section("examples", "examples.html.j2", ExampleView(chosen, is_number))


def near_section(found: Findings, _: Wording) -> Section | None:
    """Returns pairs of rows whose vectors are near; None of models that give none."""
    return Section("near", "near.html.j2", found.near) if found.near else None


def texts_section(found: Findings, _: Wording) -> Section | None:
    """Returns prompts and what a model made of them; None of models that predict."""
    return Section("texts", "texts.html.j2", found.texts) if found.texts else None
