"""Compression: what candidates lose, against how much smaller and faster they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from maas.records.evidence import CandidateRecord, CompressionRecord
from maas.reporting.charts.plot import Chart, LegendEntry, Plot
from maas.reporting.charts.scales import scale_over
from maas.reporting.wording import Wording

CHOSEN, ALLOWED, REFUSED = "good", "one", "bad"
Loss = Callable[[CandidateRecord], float]


def candidate_charts(record: CompressionRecord, words: Wording) -> Iterator[Chart]:
    """Yields what candidates lose against their size and against their time; those that lose least are on top.

    A line joins the candidates that may ship and that none of these beats in both.

    Args:
        record: the search.
        words: of the page.
    """
    found = [one for one in record.candidates if one.sha256 and one.bytes]
    label, lost = _loss(record)
    parent = record.candidates[0]
    gains: Mapping[str, Loss] = {
        "times_smaller": lambda one: parent.bytes / one.bytes,
        "times_faster": lambda one: 1 / one.time_ratio,
    }
    for key, gain in gains.items():
        measured = [one for one in found if key == "times_smaller" or one.latency]
        if len(measured) < 2:
            continue
        x = scale_over([*map(gain, measured), 1.0], is_log=True)
        y = scale_over([end for one in measured for end in _ends(one, lost)])
        plot = Plot(x, y, words.draw(key), words.draw(label), is_down=True)
        plot.rule(x=1.0)
        _draw(plot, record, measured, gain, lost)
        yield Chart(words.say(f"chart_{key}"), plot.svg(words.plain(f"chart_{key}")), _meanings(words))


def verdict_of(one: CandidateRecord, chosen: str) -> str:
    """Returns whether a candidate was chosen, may ship or was refused: the class of its mark."""
    return CHOSEN if one.name == chosen else REFUSED if one.reasons else ALLOWED


def _loss(record: CompressionRecord) -> tuple[str, Loss]:
    """Returns the key of the sentence that names what is lost, and how much a candidate loses."""
    if record.candidates[0].perplexity_ratio is not None:
        return "perplexity_ratio", lambda one: one.perplexity_ratio.value if one.perplexity_ratio else float("nan")
    if record.candidates[0].drop is not None:
        return "metric_drop", lambda one: one.drop.value if one.drop else float("nan")
    return "changed_predictions", lambda one: 100 * (1 - (1.0 if one.agreement is None else one.agreement))


def _ends(one: CandidateRecord, lost: Loss) -> tuple[float, float]:
    interval = one.perplexity_ratio or one.drop
    return (interval.low, interval.high) if interval else (lost(one), lost(one))


def _draw(plot: Plot, record: CompressionRecord, found: Sequence[CandidateRecord], gain: Loss, lost: Loss) -> None:
    allowed = [(gain(one), lost(one)) for one in found if not one.reasons]
    front = sorted(here for here in allowed if not any(_beats(other, here) for other in allowed))
    plot.line(front, "front")
    for number, one in enumerate(record.candidates):
        if one not in found or lost(one) != lost(one):
            continue
        css = verdict_of(one, record.chosen)
        low, high = _ends(one, lost)
        if high > low:
            plot.whisker(gain(one), low, high, f"{css} faint")
        plot.dot((gain(one), lost(one)), css, one.name)
        plot.note((gain(one), lost(one)), number, is_below=number % 2 == 1)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def _meanings(words: Wording) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(css, words.say(key))
        for css, key in ((CHOSEN, "chosen"), (ALLOWED, "allowed"), (REFUSED, "refused"))
    )
