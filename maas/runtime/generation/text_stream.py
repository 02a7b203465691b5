"""Tokens made text as they come: whole characters only, and nothing of a text that ends the generation."""

from collections.abc import Sequence

from tokenizers import Tokenizer

INCOMPLETE = "\ufffd"
"""What a tokenizer decodes the bytes of a character to that is not whole."""


class Detokenizer:
    """Decodes one text token by token. All that `feed` and `flush` return, joined, is the text of all tokens.

    Decoding a few tokens alone would lose the blanks between words and the characters of several tokens; so the tokens
    before are decoded along with the new ones, and their part is left out.

    Args:
        tokenizer: tokenizer of the model.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = 0
        self._end = 0

    def feed(self, token: int) -> str:
        """Adds a token and returns the characters that it completes."""
        self._tokens.append(token)
        new = self._new()
        if not new or new.endswith(INCOMPLETE):
            return ""
        self._start, self._end = self._end, len(self._tokens)
        return new

    def flush(self) -> str:
        """Returns what was not whole when the last token had come."""
        new = self._new()
        self._start, self._end = self._end, len(self._tokens)
        return new

    def _new(self) -> str:
        before: str = self._tokenizer.decode(self._tokens[self._start : self._end])
        after: str = self._tokenizer.decode(self._tokens[self._start :])
        return after[len(before) :]


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
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Returns what was held back, once no more comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Returns how many characters at the end of a text may be the beginning of a stop."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
