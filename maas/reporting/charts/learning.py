"""Training curves: losses and the metric over the epochs."""

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from maas.reporting.charts.plot import Chart, LegendEntry, Plot
from maas.reporting.charts.scales import Scale, scale_over
from maas.reporting.wording import Wording

DRAWN_LOSSES = {"train_loss": "one", "validation_loss": "two"}
MOST_DOTS = 40
Epochs = Sequence[Mapping[str, float | None]]


def learning_charts(history: Epochs, best_epoch: int | None, metric: str | None, words: Wording) -> Iterator[Chart]:
    """Yields the losses, and the metric on validation rows; the epoch whose weights are kept is marked.

    Args:
        history: logged values, an entry each epoch.
        best_epoch: from 0; None where it is not known.
        metric: name of the metric; None for none.
        words: of the page.
    """
    losses = {key: css for key, css in DRAWN_LOSSES.items() if any(key in entry for entry in history)}
    if losses:
        plot = _plot(history, list(losses), words.draw("loss"), best_epoch, words)
        legend = tuple(LegendEntry(css, words.say(key)) for key, css in losses.items())
        title = words.say("chart_losses")
        yield Chart(title, plot.svg(words.plain("chart_losses")), legend)
    key = f"validation_{metric}"
    if metric and any(key in entry for entry in history):
        plot = _plot(history, [key], words.drawn_name("metric", metric), best_epoch, words)
        title = words.say("chart_validation", metric=words.name("metric", metric))
        yield Chart(title, plot.svg(words.plain("chart_validation", metric=metric)))


def _plot(history: Epochs, keys: Sequence[str], label: Markup, best_epoch: int | None, words: Wording) -> Plot:
    series = {key: [(index + 1.0, _value(entry, key)) for index, entry in enumerate(history)] for key in keys}
    y = scale_over(value for points in series.values() for _, value in points)
    x = Scale(0.5, len(history) + 0.5)
    ticks = [tick for tick in x.ticks() if tick == round(tick) and tick >= 1] or [1.0]
    plot = Plot(x, y, words.draw("epoch"), label, x_ticks=ticks)
    if best_epoch is not None:
        plot.rule(x=best_epoch + 1, text=words.draw("kept_epoch", epoch=best_epoch + 1))
    for key, points in series.items():
        plot.line(points, DRAWN_LOSSES.get(key, "one"), has_dots=len(points) <= MOST_DOTS)
    return plot


def _value(entry: Mapping[str, float | None], key: str) -> float:
    value = entry.get(key)
    return float("nan") if value is None else value
