"""Words as parts: removed ones are cut out of the text, and the others shown in their places."""

import html
import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from maas.errors import InputError
from maas.explaining.colours import css, printable, strengths, terminal
from maas.explaining.parts.base import Parts, RowPart, grouped
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.processors import Array, SingleArrayProcessor

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_WORDS = 64
TextSpan = tuple[int, int]
NOTHING = "\u200b"
"""A text without words: processors refuse an empty one, and a blank of no width is no word of any language."""

_CJK = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_IDEOGRAPH = re.compile(f"[{_CJK}]")
_WORD = re.compile(f"(?!\\s)[{_CJK}]|[^\\s{_CJK}]+")


class TextParts(Parts):
    """Words between blanks; Chinese and Japanese signs, which have no blanks, one by one.

    Where they are more than `most` (64), neighbours share a part. What the processor cuts off either end of a long text
    is no part, since the model never saw it.
    """

    part_kind = "words"

    def __init__(
        self, row: Any, processor: SingleArrayProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        (whole,) = processor.arrays([row])
        self._text: str = row
        words = [word.span() for word in _WORD.finditer(row)]
        spans = _seen(row, words, processor, whole)
        self._whole: str = row if spans == words else row[spans[0][0] : spans[-1][1]]
        places = [(group[0][0], group[-1][1]) for group in grouped(spans, most or MOST_WORDS)]
        self.parts = tuple(RowPart(row[start:end], (start, end)) for start, end in places)

    def row(self, kept: Mask) -> str:
        """Returns what the model sees of the text, without some words; no two are joined that were apart."""
        if kept.all():
            return self._whole
        starts = [part.place[0] for part in self.parts]
        row, is_last_kept = "", False
        for part, end, is_kept in zip(self.parts, [*starts[1:], self.parts[-1].place[1]], kept, strict=True):
            if is_kept:
                row += ("" if is_last_kept else _gap(row, part.name)) + self._text[part.place[0] : end]
            is_last_kept = is_kept
        return row.rstrip() or NOTHING

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns the text, each word on the colour of its attribution."""
        words = [
            terminal(printable(part.name), strength)
            for part, strength in zip(self.parts, strengths(attributions), strict=True)
        ]
        before, after, *between = map(printable, self._others())
        return before + "".join(f"{word}{gap}" for word, gap in zip(words, [*between, ""], strict=True)) + after

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns the text, each word on the colour of its attribution; a word under the mouse shows its number."""
        words = [
            f'<span title="{value:+.4f}" style="background:{css(strength)}">{html.escape(printable(part.name))}</span>'
            for part, value, strength in zip(self.parts, attributions, strengths(attributions), strict=True)
        ]
        before, after, *between = (html.escape(printable(text)) for text in self._others())
        shown = "".join(f"{word}{gap}" for word, gap in zip(words, [*between, ""], strict=True))
        before, after = (f'<span style="opacity:.4">{text}</span>' if text else "" for text in (before, after))
        return f'<div style="white-space:pre-wrap;line-height:1.8">{before}{shown}{after}</div>'

    def _others(self) -> list[str]:
        """Returns what is no part: what is before the first word that the model sees, after the last, and between."""
        between = [self._text[left.place[1] : right.place[0]] for left, right in pairwise(self.parts)]
        return [self._text[: self.parts[0].place[0]], self._text[self.parts[-1].place[1] :], *between]

    def picture(self, attributions: ValuesOfParts, title: str) -> "Image":
        """Refuses: words are shown as text.

        Raises:
            InputError: always.
        """
        raise InputError("Words are shown as text, not as a picture. Print the explanation, or save it as .html.")


def _seen(text: str, spans: list[TextSpan], processor: SingleArrayProcessor, whole: Array) -> list[TextSpan]:
    """Returns the words that alone give the same features as the whole text, which may have been cut at either end."""

    def is_enough(first: int, last: int) -> bool:
        return np.array_equal(processor.arrays([text[spans[first][0] : spans[last][1]]])[0], whole)

    last = bisect_left(range(len(spans) - 1), True, key=lambda index: is_enough(0, index))
    first = bisect_left(range(last), True, key=lambda index: not is_enough(index + 1, last))
    return spans[first : last + 1]


def _gap(left: str, right: str) -> str:
    """Returns what must stand between two pieces of text, so that they do not become one word."""
    if not left or left[-1].isspace() or _IDEOGRAPH.match(left[-1]) or _IDEOGRAPH.match(right):
        return ""
    return " "
