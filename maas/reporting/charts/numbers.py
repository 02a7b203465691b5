"""Charts of predicted numbers: predictions over true values, and the errors."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from maas.reporting.charts.plot import Chart, LegendEntry, Plot
from maas.reporting.charts.scales import scale_over
from maas.reporting.figures import shown_number
from maas.reporting.wording import Wording

SHOWN_DOTS = 600
"""Rows that are drawn, evenly spaced."""
ERROR_BINS = 31
SHOWN_FRACTION = 0.99
"""Of the errors, those that the histogram's axis reaches; larger ones are in its outer bars."""
DrawnNumbers = NDArray[np.float64]


def number_charts(targets: DrawnNumbers, values: DrawnNumbers, words: Wording) -> Iterator[Chart]:
    """Yields predictions over true values, and how often each error occurs.

    Args:
        targets: true values, (N,).
        values: predicted ones, (N,).
        words: of the page.
    """
    picked = np.linspace(0, len(targets) - 1, min(len(targets), SHOWN_DOTS)).astype(int)
    pairs = list(zip(targets[picked].tolist(), values[picked].tolist(), strict=True))
    scale = scale_over([*targets[picked].tolist(), *values[picked].tolist()])
    plot = Plot(scale, scale, words.draw("true_value"), words.draw("predicted_value"))
    plot.line([(scale.low, scale.low), (scale.high, scale.high)], "ideal")
    for pair in pairs:
        plot.dot(pair, "one faint", radius=2.6)
    legend = (LegendEntry("one", words.say("a_row")), LegendEntry("ideal", words.say("perfect")))
    note = words.say("drawn_rows", drawn=len(pairs), rows=len(targets))
    yield Chart(words.say("chart_values"), plot.svg(words.plain("chart_values")), legend, note)
    yield _errors(values - targets, words)


def _errors(errors: DrawnNumbers, words: Wording) -> Chart:
    reach = float(np.quantile(np.abs(errors), SHOWN_FRACTION)) or 1.0
    edges = np.linspace(-reach, reach, ERROR_BINS + 1)
    counts, _ = np.histogram(np.clip(errors, -reach, reach), edges)
    fractions = (counts / len(errors)).tolist()
    plot = Plot(
        scale_over(edges.tolist(), ends=[-reach, reach]),
        scale_over([0.0, *fractions], ends=[0.0]),
        words.draw("error"),
        words.draw("fraction_rows"),
    )
    for left, right, height, count in zip(edges[:-1], edges[1:], fractions, counts.tolist(), strict=True):
        plot.bar(float(left), float(right), height, "one", words.plain("rows_count", rows=count))
    plot.rule(x=0.0)
    half, most = np.quantile(np.abs(errors), [0.5, 0.9])
    note = words.say("error_note", half=shown_number(float(half)), most=shown_number(float(most)))
    return Chart(words.say("chart_errors"), plot.svg(words.plain("chart_errors")), note=note)
