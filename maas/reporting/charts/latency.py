"""Latencies: how often each occurs."""

import numpy as np
from numpy.typing import NDArray

from maas.reporting.charts.plot import Chart, Plot
from maas.reporting.charts.scales import scale_over
from maas.reporting.figures import milliseconds_text
from maas.reporting.wording import Wording

LATENCY_BINS = 30
PERCENTILES = (50, 90, 99)


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
