"""Texts that end a generation, though they come in pieces, and are no part of it."""

from collections.abc import Sequence


class StopStrings:
    """Cuts a text where the first of some texts begins, though it comes in pieces.

    Args:
        stops: texts, each of one character or more.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def feed(self, piece: str) -> str:
        """Adds a piece and returns what can belong to no stop any more."""
        text = self._held + piece
        begins = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if begins:
            self.found, self._held = True, ""
            return text[: min(begins)]
        keep = max((overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Returns what was held back, once no more comes."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, stop: str) -> int:
    """Returns how many characters at the end of a text may be the beginning of a stop.

    Args:
        text: so far.
        stop: of one character or more.
    """
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
