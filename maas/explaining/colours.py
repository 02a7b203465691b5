"""Red for what speaks for a prediction, blue for what speaks against it; the stronger, the deeper."""

import re

import numpy as np

from maas.explaining.sampling import ValuesOfParts

Colour = tuple[int, int, int]

FOR: Colour = (214, 39, 40)
AGAINST: Colour = (31, 119, 180)
WHITE: Colour = (255, 255, 255)
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def strengths(attributions: ValuesOfParts) -> ValuesOfParts:
    """Returns attributions (P,) divided by the largest of them, in [-1, 1]; zeros where all are zero."""
    largest = float(np.abs(attributions).max(initial=0.0))
    return attributions / largest if largest > 0 else np.zeros_like(attributions)


def shade(strength: float, ground: Colour = WHITE) -> Colour:
    """Returns the colour of a strength in [-1, 1], laid over a ground."""
    red, green, blue = (
        round(below + abs(strength) * (full - below))
        for below, full in zip(ground, FOR if strength > 0 else AGAINST, strict=True)
    )
    return red, green, blue


def terminal(text: str, strength: float) -> str:
    """Returns black text on the colour of a strength, for a terminal of 24-bit colours."""
    red, green, blue = shade(strength)
    return f"\x1b[48;2;{red};{green};{blue}m\x1b[30m{text}\x1b[0m"


def css(strength: float) -> str:
    """Returns the colour of a strength in [-1, 1] for HTML; it is transparent where weak, as pages may be dark."""
    red, green, blue = FOR if strength > 0 else AGAINST
    return f"rgba({red},{green},{blue},{abs(strength):.2f})"


def printable(text: str) -> str:
    """Returns text that cannot move a terminal's cursor, recolour it or turn its direction."""
    return _UNSHOWN.sub("\ufffd", text)
