"""Robustness: how the metric falls as inputs get worse."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from maas.records.evidence import RobustnessCurve
from maas.reporting.charts.plot import Chart, Plot
from maas.reporting.charts.scales import Scale, scale_over
from maas.reporting.wording import Wording


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
