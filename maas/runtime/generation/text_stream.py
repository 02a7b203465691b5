"""Tokens made text as they come: whole characters only."""

from collections.abc import Sequence

from tokenizers import Tokenizer

INCOMPLETE = "\ufffd"
"""What a tokenizer decodes the bytes of a character to that is not whole."""
MOST_BEFORE = 8
"""Tokens of what a text continues that are looked at: a character has at most four, and a special one is no text."""


class Detokenizer:
    """Decodes one text token by token. All that `feed` and `flush` return, joined, is the text of all tokens.

    Decoding a few tokens alone would lose the blanks between words and the characters of several tokens; so the tokens
    before are decoded along with the new ones, and their part is left out.

    Args:
        tokenizer: tokenizer of the model.
        before: tokens of what the text continues; none where it is a beginning, which many tokenizers give no blank.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._tokens = _last_whole(tokenizer, before)
        self._start = 0
        self._end = len(self._tokens)

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


def _last_whole(tokenizer: Tokenizer, tokens: Sequence[int]) -> list[int]:
    """Returns the last of some tokens that are whole characters together; none where the last few are not."""
    for count in range(1, min(MOST_BEFORE, len(tokens)) + 1):
        last = list(tokens[-count:])
        text: str = tokenizer.decode(last)
        if text and INCOMPLETE not in text:
            return last
    return []
