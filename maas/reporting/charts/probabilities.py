"""Charts of probabilities: how often they are right, and what thresholds give."""

from collections.abc import Iterator, Sequence

from maas.reporting.charts.plot import Chart, LegendEntry, Plot
from maas.reporting.charts.scales import Scale, scale_over
from maas.reporting.curves import BINS, CalibrationBin, ThresholdCurve
from maas.reporting.figures import percent
from maas.reporting.wording import Wording

UNIT_RANGE = Scale(0.0, 1.0)


def calibration_chart(bins: Sequence[CalibrationBin], words: Wording) -> Chart:
    """Draws the fraction of right predictions over how probable they are said to be, with intervals.

    Args:
        bins: those that have rows.
        words: of the page.
    """
    plot = Plot(UNIT_RANGE, UNIT_RANGE, words.draw("confidence"), words.draw("fraction_right"))
    plot.line([(0, 0), (1, 1)], "ideal")
    for one in bins:
        plot.whisker(one.confidence, one.right.low, one.right.high, "one")
    plot.line([(one.confidence, one.right.value) for one in bins], "one")
    for one in bins:
        shown = words.plain(
            "bin_rows", rows=one.rows, confidence=percent(one.confidence), right=percent(one.right.value)
        )
        plot.dot((one.confidence, one.right.value), "one", shown)
    rows = sum(one.rows for one in bins)
    mean = sum(one.confidence * one.rows for one in bins) / rows
    right = sum(one.right.value * one.rows for one in bins) / rows
    note = words.say("calibration_note", confidence=percent(mean), right=percent(right), rows=rows)
    return Chart(words.say("chart_calibration"), plot.svg(words.plain("chart_calibration")), _calibrated(words), note)


def confidence_chart(bins: Sequence[CalibrationBin], words: Wording) -> Chart:
    """Draws how many rows have which probability of their predicted label; arguments as in `calibration_chart`."""
    rows = sum(one.rows for one in bins)
    fractions = [one.rows / rows for one in bins]
    heights = scale_over([0.0, *fractions], ends=[0.0])
    plot = Plot(UNIT_RANGE, heights, words.draw("confidence"), words.draw("fraction_rows"))
    for one, fraction in zip(bins, fractions, strict=True):
        place = min(int(one.confidence * BINS), BINS - 1)
        plot.bar(place / BINS, (place + 1) / BINS, fraction, "one", words.plain("rows_count", rows=one.rows))
    return Chart(words.say("chart_confidence"), plot.svg(words.plain("chart_confidence")))


def threshold_charts(
    roc: ThresholdCurve, precision_recall: ThresholdCurve, label: str, words: Wording
) -> Iterator[Chart]:
    """Yields the ROC curve, and precision over recall.

    Args:
        roc: true positive rate over false positive rate.
        precision_recall: precision over recall.
        label: whose probability it is.
        words: of the page.
    """
    plot = Plot(UNIT_RANGE, UNIT_RANGE, words.draw("false_positives"), words.draw("true_positives"))
    plot.line([(0, 0), (1, 1)], "ideal")
    plot.line(list(zip(roc.x.tolist(), roc.y.tolist(), strict=True)), "one")
    yield Chart(words.say("chart_roc", label=label), plot.svg(words.plain("chart_roc", label=label)), _guessed(words))
    plot = Plot(UNIT_RANGE, UNIT_RANGE, words.draw("recall"), words.draw("precision"))
    plot.line([(0, precision_recall.chance), (1, precision_recall.chance)], "ideal")
    plot.line(list(zip(precision_recall.x.tolist(), precision_recall.y.tolist(), strict=True)), "one")
    title = words.say("chart_precision_recall", label=label)
    yield Chart(title, plot.svg(words.plain("chart_precision_recall", label=label)), _guessed(words))


def _calibrated(words: Wording) -> tuple[LegendEntry, ...]:
    return (LegendEntry("one", words.say("this_model")), LegendEntry("ideal", words.say("calibrated")))


def _guessed(words: Wording) -> tuple[LegendEntry, ...]:
    return (LegendEntry("one", words.say("this_model")), LegendEntry("ideal", words.say("guessing")))
