"""Texts to learn as rows of symbols, the numbers of their characters; what paths of symbols say, the runtime knows."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.packing import NO_TARGET

UNKNOWN = -1
"""Of a character that the training texts do not have, so that no model of theirs can write it."""
UNKNOWN_CHARACTER = "\ufffd"


def clean_text(text: str | None) -> str | None:
    r"""Returns a transcript in NFC, with single blanks between words; None where it is missing or blank.

    Example:
        >>> clean_text("  turn\tit  off ")
        'turn it off'
    """
    return None if text is None else " ".join(unicodedata.normalize("NFC", text).split()) or None


def symbols_of(texts: Sequence[str] | NDArray[Any], characters: Sequence[str]) -> NDArray[np.int64]:
    """Returns the symbols of N texts, int64 (N, L): 1 and more for the characters, `NO_TARGET` after a text's end.

    Args:
        texts: N texts, of at most L characters.
        characters: in their order; any other is `UNKNOWN`.

    Example:
        >>> symbols_of(["ab", "b?a"], "ab").tolist()
        [[1, 2, -100], [2, -1, 1]]
    """
    numbers = {character: number for number, character in enumerate(characters, start=1)}
    symbols = np.full((len(texts), max(map(len, texts), default=0)), NO_TARGET, dtype=np.int64)
    for row, text in zip(symbols, texts, strict=True):
        row[: len(text)] = [numbers.get(character, UNKNOWN) for character in text]
    return symbols


def written(symbols: NDArray[np.int64], characters: Sequence[str]) -> list[str]:
    """Returns the texts of symbols (N, L); unknown ones are U+FFFD."""
    rows = (row[row != NO_TARGET].tolist() for row in symbols)
    return ["".join(UNKNOWN_CHARACTER if one == UNKNOWN else characters[one - 1] for one in row) for row in rows]
