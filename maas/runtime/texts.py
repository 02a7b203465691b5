"""Raw texts: what counts as one, and how much of it is looked at."""

from typing import Literal

from maas.errors import InputError

Keep = Literal["start", "end", "ends"]
CHARACTERS_A_TOKEN = 32
"""Looked at; bounds the time that a hostile text can take."""


NOT_BLANK = r"[^\s\x1c-\x1f\x85\ufeff]"
"""What a text has a character of, as a pattern of JSON Schema; `str.strip` removes more than its \\s names."""


def checked_text(row: object, index: int, max_tokens: int, keep: Keep = "start") -> str:
    """Returns a raw row as a text, no longer than `max_tokens` can need.

    Args:
        row: anything that a caller sent.
        index: of the row, for messages.
        max_tokens: that the model takes.
        keep: which part of a longer text is looked at.

    Raises:
        InputError: it is no text, blank, or holds half of a surrogate pair.
    """
    if not isinstance(row, str):
        raise InputError(f"Row {index} is {_named(row)}; the model takes a text (a string).")
    text = bounded(row, CHARACTERS_A_TOKEN * max_tokens, keep)
    if not text.strip():
        raise InputError(f"Row {index} is an empty text; the model needs at least one character.")
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"Row {index} holds half of a surrogate pair, which is not text; send valid Unicode.")
    return text


def bounded(text: str, limit: int, keep: Keep = "start") -> str:
    """Returns at most `limit` characters: the first, the last, or half of each.

    Example:
        >>> bounded("abcdef", 4, "ends")
        'abef'
    """
    if len(text) <= limit:
        return text
    tail = {"start": 0, "end": limit, "ends": limit // 2}[keep]
    return text[: limit - tail] + text[len(text) - tail :]


def _named(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
