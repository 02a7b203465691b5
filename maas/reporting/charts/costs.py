"""What a prediction costs: latencies by how often each occurs, and the metric as inputs get worse."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from maas.records.evidence import RobustnessCurve
from maas.reporting.charts.plot import Chart, Plot
from maas.reporting.charts.scales import Scale, scale_over
from maas.reporting.figures import milliseconds_text
from maas.reporting.wording import Wording

LATENCY_BINS = 30
DRAWN_PERCENTILES = (50, 90, 99)


def latency_chart(latencies_ms: NDArray[np.float64], words: Wording) -> Chart:
    """Draws a histogram on a logarithmic axis; the median and high percentiles are marked.

    Args:
        latencies_ms: in milliseconds, (N,).
        words: of the page.
    """
    x = scale_over(latencies_ms.tolist(), is_log=True)
    edges = np.geomspace(x.low, x.high, LATENCY_BINS + 1)
    counts, _ = np.histogram(latencies_ms, edges)
    fractions = (counts / len(latencies_ms)).tolist()
    plot = Plot(x, scale_over([0.0, *fractions], ends=[0.0]), words.draw("latency_ms"), words.draw("fraction_runs"))
    for left, right, height, count in zip(edges[:-1], edges[1:], fractions, counts.tolist(), strict=True):
        if count:
            shown = f"{milliseconds_text(float(left))} – {milliseconds_text(float(right))}: {count}"
            plot.bar(float(left), float(right), height, "one", shown)
    plot.rule(x=float(np.median(latencies_ms)))
    return Chart(words.say("chart_latency"), plot.svg(words.plain("chart_latency")))


def robustness_charts(curves: Sequence[RobustnessCurve], words: Wording) -> Iterator[Chart]:
    """Yields the metric over the strength of each perturbation, its interval as a band.

    Args:
        curves: all of one metric; their y axes are the same.
        words: of the page.
    """
    y = scale_over(end for curve in curves for one in curve.values for end in (one.low, one.high))
    for curve in curves:
        input_name, _, what = curve.name.rpartition(": ")  # of several inputs, the one that gets worse
        named = words.name("perturbation", what)
        title = Markup("{}: {}").format(input_name, named) if input_name else named
        x = Scale(min(curve.strengths), max(curve.strengths) or 1.0)
        plot = Plot(x, y, words.drawn_name("unit", curve.unit), words.drawn_name("metric", curve.metric))
        if 0 in curve.strengths:
            plot.rule(y=curve.values[curve.strengths.index(0)].value)
        lows, highs = [one.low for one in curve.values], [one.high for one in curve.values]
        plot.band(curve.strengths, lows, highs, "one")
        points = [(strength, one.value) for strength, one in zip(curve.strengths, curve.values, strict=True)]
        plot.line(points, "one", has_dots=True)
        yield Chart(title, plot.svg(words.plain("chart_robustness", name=curve.name)))
