"""Pictures of models side by side, as PNG files: what is lost, how much faster and smaller they are."""

from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from maas.evidence.comparing import ComparedBundle
from maas.evidence.plots import saved
from maas.records.evidence import CandidateRecord, CompressionRecord

CHOSEN, ALLOWED, REFUSED = "tab:green", "tab:blue", "tab:red"
LABEL_LETTERS = 40
"""Letters of a name beside a picture."""
LEGEND_LINE = 0.19
"""Inches."""
Measure = Callable[[CandidateRecord], float]


def compression_picture(record: CompressionRecord, path: Path) -> Path:
    """Draws what every measured candidate loses, against how much faster and how much smaller it is.

    Where rows have no targets, the fraction of changed predictions is what is lost. A line joins the candidates that
    may ship and that none of these beats in both.

    Args:
        record: the search.
        path: the PNG to write.
    """
    found, root = [one for one in record.candidates if one.latency], record.candidates[0]
    figure = Figure(figsize=(9, 3.8 + LEGEND_LINE * len(found)), layout="constrained")
    faster, smaller = figure.subplots(1, 2, sharey=True)
    evaluated = root.drop is not None
    lost: Measure = (
        (lambda one: one.drop.value if one.drop else 0.0) if evaluated else (lambda one: 100 * _changed(one))
    )
    for axes, gain in ((faster, lambda one: 1 / one.time_ratio), (smaller, lambda one: root.bytes / one.bytes)):
        _draw_candidates(axes, found, gain, lost, record.chosen)
    at = f" (batch of {root.latency.batch_size}, threads: {root.latency.threads})" if root.latency else ""
    faster.set(xlabel=f"times faster{at}", ylabel="metric drop" if evaluated else "answers changed, %")
    smaller.set(xlabel="times smaller")
    faster.invert_yaxis()
    marks = [Line2D([], [], marker="o", linestyle="", color=_colour(one, record.chosen)) for one in found]
    names = [f"{number}: {one.name}{_verdict(one, record.chosen)}" for number, one in enumerate(found)]
    figure.legend(marks, names, loc="outside lower left", fontsize=8, frameon=False)
    return saved(figure, path)


def comparison_picture(found: Sequence[ComparedBundle], metric: str | None, path: Path) -> Path:
    """Draws metric with interval, time of the larger batch and size of each model, side by side.

    Args:
        found: the models, the first being what the others are compared with.
        metric: its name; None draws the fraction of the first one's predictions.
        path: the PNG to write.
    """
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(found)), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    places = range(len(found))
    colours = ["tab:grey", *["tab:blue"] * (len(found) - 1)]
    values = [one.metric.value if one.metric else one.agreement for one in found]
    spans = [(one.metric.low, one.metric.high) if one.metric else (one.agreement,) * 2 for one in found]
    errors = [[value - low for value, (low, _) in zip(values, spans, strict=True)]]
    errors += [[high - value for value, (_, high) in zip(values, spans, strict=True)]]
    left.errorbar(values, places, xerr=errors, fmt="o", color="black", capsize=3)
    left.set(xlabel=metric if found[0].metric else "fraction of the first one's predictions")
    times = middle.barh(places, [one.latencies[-1].median_ms for one in found], color=colours)
    middle.bar_label(times, fmt="{:.3g}", padding=3)
    middle.set(xlabel=f"ms, batch of {found[0].latencies[-1].batch_size}")
    sizes = right.barh(places, [one.bytes / 1e6 for one in found], color=colours)
    right.bar_label(sizes, fmt="{:.3g}", padding=3)
    right.set(xlabel="ONNX file, MB")
    left.set_yticks(places, _told_apart([one.name for one in found]))
    left.invert_yaxis()
    for axes in (left, middle, right):
        axes.grid(alpha=0.3, axis="x")
    for axes in (middle, right):
        axes.set_xlim(0, 1.25 * axes.dataLim.xmax)  # room for the numbers
    return saved(figure, path)


def _draw_candidates(axes: Axes, found: Sequence[CandidateRecord], gain: Measure, lost: Measure, chosen: str) -> None:
    """Draws candidates by number, and joins those that no other one beats."""
    points = [(gain(one), lost(one)) for one in found]
    allowed = [place for one, place in zip(found, points, strict=True) if not one.reasons]
    front = sorted(here for here in allowed if not any(_beats(other, here) for other in allowed))
    axes.plot(*zip(*front, strict=True), color="grey", linewidth=1, zorder=1)
    for number, (one, place) in enumerate(zip(found, points, strict=True)):
        if one.drop:
            span = [[one.drop.value - one.drop.low], [one.drop.high - one.drop.value]]
            axes.errorbar(*place, yerr=span, color=_colour(one, chosen), alpha=0.35, zorder=2)
        axes.scatter(*place, color=_colour(one, chosen), s=36, zorder=3)
        axes.annotate(str(number), place, (5, 4), textcoords="offset points", fontsize=9)
    axes.axvline(1, color="grey", linestyle=":", zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.12)
    axes.grid(alpha=0.3)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def _changed(one: CandidateRecord) -> float:
    return 1 - (1.0 if one.agreement is None else one.agreement)


def _colour(one: CandidateRecord, chosen: str) -> str:
    return CHOSEN if one.name == chosen else REFUSED if one.reasons else ALLOWED


def _verdict(one: CandidateRecord, chosen: str) -> str:
    if one.name == chosen:
        return " (chosen)"
    return f" (refused: {one.reasons[0]})" if one.reasons else ""


def _told_apart(names: Sequence[str]) -> list[str]:
    """Returns names without the folders that all of them begin or end with; of what is still long, the end."""
    parts = [name.split("/") for name in names]
    start = _shared(parts)
    end = _shared([one[start:][::-1] for one in parts])
    rests = ["/".join(one[start : len(one) - end]) or name for one, name in zip(parts, names, strict=True)]
    return [rest if len(rest) <= LABEL_LETTERS else f"…{rest[-LABEL_LETTERS:]}" for rest in rests]


def _shared(lists: Sequence[Sequence[str]]) -> int:
    """Returns how many entries lists have in common, from their beginning."""
    return len(list(takewhile(lambda column: len(set(column)) == 1, zip(*lists, strict=False))))
