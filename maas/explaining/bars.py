"""Attributions as bars: for columns, and for terminals, which show no pictures."""

import html
import unicodedata
from collections.abc import Sequence

import numpy as np

from maas.explaining.colours import AGAINST, FOR, css, printable, strengths
from maas.explaining.sampling import ValuesOfParts

SHOWN_BARS = 20
"""Bars that are shown; the sum of the others is one more line."""
WIDTH = 24  # characters of the longest bar

Bar = tuple[str, float, float]
"""Name, attribution, and the attribution's ratio to the largest, in [-1, 1]."""


def strongest(names: Sequence[str], attributions: ValuesOfParts, shown: int = SHOWN_BARS) -> tuple[list[Bar], str]:
    """Returns the bars of the strongest attributions, in order, and a line about the others, or nothing."""
    order = np.argsort(-np.abs(attributions), kind="stable")
    relative = strengths(attributions)
    bars = [(names[index], float(attributions[index]), float(relative[index])) for index in order[:shown]]
    others = order[shown:]
    return bars, f"{len(others)} others: {attributions[others].sum():+.4g} together" if len(others) else ""


def bars_text(names: Sequence[str], attributions: ValuesOfParts) -> str:
    """Returns a table for a terminal: name, attribution, bar."""
    bars, others = strongest([printable(name).replace("\n", " ") for name in names], attributions)
    width = min(40, max(_cells(name) for name, _, _ in bars))
    lines = [
        f"{_filled(name, width)} {value:>+10.4g} {_coloured('█' * round(WIDTH * abs(strength)), strength)}".rstrip()
        for name, value, strength in bars
    ]
    return "\n".join([*lines, *([others] if others else [])])


def bars_html(names: Sequence[str], attributions: ValuesOfParts) -> str:
    """Returns a table for a page: name, attribution, bar."""
    bars, others = strongest(names, attributions)
    rows = "".join(
        f'<tr><td style="text-align:left">{html.escape(printable(name))}</td><td>{value:+.4g}</td>'
        f'<td style="text-align:left"><div style="width:{200 * abs(strength):.0f}px;height:1em;'
        f'background:{css(np.sign(strength))}"></div></td></tr>'
        for name, value, strength in bars
    )
    return f"<table>{rows}</table>{f'<p>{others}</p>' if others else ''}"


def _cells(text: str) -> int:
    """Returns how many columns of a terminal a text takes: Chinese signs take two each."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _filled(name: str, width: int) -> str:
    """Returns a name that takes so many columns, cut or filled up with blanks."""
    if _cells(name) > width:
        name = next(name[:end] for end in range(len(name), -1, -1) if _cells(name[:end]) < width) + "…"
    return name + " " * (width - _cells(name))


def _coloured(bar: str, strength: float) -> str:
    red, green, blue = FOR if strength > 0 else AGAINST
    return f"\x1b[38;2;{red};{green};{blue}m{bar}\x1b[0m" if bar else ""
