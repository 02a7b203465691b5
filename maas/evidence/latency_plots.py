"""Pictures of latencies under load, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from maas.evidence.plots import saved

NINES = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999)


class LatencyCurve(NamedTuple):
    """The latencies at one rate.

    Args:
        name: for the legend.
        latencies_ms: sorted; infinite where a request failed.
    """

    name: str
    latencies_ms: NDArray[np.float64]


def latency_picture(curves: Sequence[LatencyCurve], title: str, path: Path) -> Path:
    """Draws how often each latency occurs, and the latency by percentile on an axis that stretches the high ones.

    Args:
        curves: one or more.
        title: above the picture.
        path: the PNG to write.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    finite = np.concatenate([curve.latencies_ms[np.isfinite(curve.latencies_ms)] for curve in curves])
    low, high = (finite.min(), finite.max()) if finite.size else (1.0, 10.0)
    edges = np.geomspace(max(low, 1e-3) * 0.95, max(high, 1e-3) * 1.05, 61)
    for number, curve in enumerate(curves):
        colour = f"C{number % 10}"
        counts, _ = np.histogram(curve.latencies_ms, edges)
        left.stairs(counts / max(1, len(curve.latencies_ms)), edges, color=colour, fill=True, alpha=0.25)
        left.stairs(counts / max(1, len(curve.latencies_ms)), edges, color=colour, label=curve.name)
        _draw_percentiles(right, curve, colour)
    left.set(xscale="log", xlabel="latency, ms", ylabel="fraction of requests")
    longest = max(len(curve.latencies_ms) for curve in curves)
    shown = [nine for nine in NINES if nine < 100 * (1 - 0.5 / longest)]
    right.set_xticks([_stretched(nine) for nine in shown], [f"{nine:g} %" for nine in shown])
    right.set(yscale="log", xlabel="percentile of requests", ylabel="latency, ms")
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize="small")
    figure.suptitle(title)
    return saved(figure, path)


def _draw_percentiles(axes: Axes, curve: LatencyCurve, colour: str) -> None:
    """Draws a curve as far as its latencies are finite."""
    count = len(curve.latencies_ms)
    percents = 100 * (np.arange(count) + 0.5) / count
    axes.plot(
        _stretched(percents),
        np.where(np.isfinite(curve.latencies_ms), curve.latencies_ms, np.nan),
        color=colour,
        label=curve.name,
    )


def _stretched(percent: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Returns the place of a percentile: each further nine is as far from the last one."""
    return -np.log10(1 - np.asarray(percent) / 100)
