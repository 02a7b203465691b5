"""What was measured of a model: metrics beside the baseline's, its training, and how it stands worse inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maas.records.evidence import Interval
from maas.reporting.charts.costs import robustness_charts
from maas.reporting.charts.learning import learning_charts
from maas.reporting.charts.plot import Chart
from maas.reporting.figures import LESS_IS_BETTER, metric_interval, metric_value
from maas.reporting.findings import Findings
from maas.reporting.sections import Section
from maas.reporting.wording import NO_TEXT, Wording

WHO = ("shipped", "trained", "cross_validated", "baseline")
ROOM_FRACTION = 0.08


@dataclass(frozen=True)
class IntervalMark:
    """Where a value and its interval lie between two ends, in per cent of the room."""

    dot: float
    left: float
    width: float


@dataclass(frozen=True)
class MetricCell:
    """A metric of one model.

    Args:
        value: as people read it.
        ends: its interval, as HTML.
        mark: where both lie among the others of its row.
    """

    value: str
    ends: Markup
    mark: IntervalMark


@dataclass(frozen=True)
class MetricRow:
    """A metric of all models.

    Args:
        name: as HTML.
        is_less_better: whether it is better the smaller it is.
        cells: of each model; None where it was not measured.
    """

    name: Markup
    is_less_better: bool
    cells: tuple[MetricCell | None, ...]


@dataclass(frozen=True)
class MetricTable:
    """Metrics by model.

    Args:
        heads: of the models, as HTML.
        rows: a metric each.
        note: what the test rows and intervals are.
    """

    heads: tuple[Markup, ...]
    rows: tuple[MetricRow, ...]
    note: Markup


@dataclass(frozen=True)
class Charts:
    """Charts with sentences around them.

    Args:
        intro: above; empty for none.
        charts: side by side where there is room.
        note: below; empty for none.
    """

    intro: Markup
    charts: tuple[Chart, ...]
    note: Markup = NO_TEXT


def metrics_section(found: Findings, words: Wording) -> Section | None:
    """Returns every metric of the model, of what it was made of, and of the baseline; None without evidence."""
    evidence = found.model.evidence
    if evidence is None or not evidence.metrics:
        return None
    who = [one for one in (*WHO, *sorted(set(evidence.metrics) - set(WHO))) if one in evidence.metrics]
    names = list(dict.fromkeys(name for one in who for name in evidence.metrics[one]))
    if found.model.metric in names:
        names.insert(0, names.pop(names.index(found.model.metric)))
    rows = tuple(_row(name, [evidence.metrics[one].get(name) for one in who], words) for name in names)
    heads = tuple(_head(one, found, words) for one in who)
    note = words.say("metrics_note", rows=evidence.data.rows.get("test", 0))
    return Section("metrics", "metrics.html.j2", MetricTable(heads, rows, note))


def _head(who: str, found: Findings, words: Wording) -> Markup:
    if who == "baseline" and found.baseline:
        return words.say("baseline_named", name=found.baseline)
    return words.name("who", who)


def _row(metric: str, intervals: Sequence[Interval | None], words: Wording) -> MetricRow:
    known = [one for one in intervals if one is not None]
    low, high = min(one.low for one in known), max(one.high for one in known)
    cells = tuple(
        None if one is None else MetricCell(
            metric_value(metric, one.value), metric_interval(metric, one), interval_mark(one, low, high)
        )
        for one in intervals
    )  # fmt: skip
    return MetricRow(words.name("metric", metric), metric in LESS_IS_BETTER, cells)


def interval_mark(interval: Interval, low: float, high: float) -> IntervalMark:
    """Returns where an interval lies between two ends, with some room at either side."""
    room = (high - low) * ROOM_FRACTION or abs(high) * ROOM_FRACTION or 1.0
    low, high = low - room, high + room

    def place(value: float) -> float:
        return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 1)

    left = place(interval.low)
    return IntervalMark(place(interval.value), left, round(place(interval.high) - left, 1))


def training_section(found: Findings, words: Wording) -> Section | None:
    """Returns losses and metric over the epochs; None where nothing was trained, or that is not known."""
    training = found.model.training
    if training is None or not training.history:
        return None
    metric = found.model.metric or next(_validated(training.history), None)
    charts = tuple(learning_charts(training.history, training.best_epoch, metric, words))
    if not charts:
        return None
    intro = words.say("training_intro", epochs=len(training.history))
    return Section("training", "charts.html.j2", Charts(intro, charts))


def _validated(history: Sequence[dict[str, float | None]]) -> Iterator[str]:
    yield from (key.removeprefix("validation_") for key in history[0] if key.startswith("validation_"))


def robustness_section(found: Findings, words: Wording) -> Section | None:
    """Returns how the metric falls as inputs get worse; None where that was not measured."""
    evidence = found.model.evidence
    if evidence is None or not evidence.robustness:
        return None
    charts = tuple(robustness_charts(evidence.robustness, words))
    note = words.say("robustness_note", rows=evidence.robustness[0].rows)
    return Section("robustness", "charts.html.j2", Charts(words.say("robustness_intro"), charts, note))
