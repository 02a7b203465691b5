"""Words as parts, shown where they stand in their text."""

import html
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from maas.errors import InputError
from maas.explaining.colours import css, printable, strengths, terminal
from maas.explaining.parts.base import Parts, RowPart, grouped
from maas.explaining.sampling import Mask, ValuesOfParts

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_WORDS = 64
TextSpan = tuple[int, int]
NOTHING = "\u200b"
"""A text without words: processors refuse an empty one, and a blank of no width is no word of any language."""

_CJK = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_IDEOGRAPH = f"[{_CJK}]"
_WORD = f"(?!\\s)[{_CJK}]|[^\\s{_CJK}]+"
"""Patterns are compiled at their first use: a server that starts explains nothing yet."""


class Words(Parts):
    """Words of a text, between blanks; Chinese and Japanese signs, which have no blanks, one by one.

    Where they are more than `most` (64), neighbours share a part. What is left out is cut out of the text. A kind says
    which words there are by `cut_`.
    """

    part_kind = "words"

    def cut_(self, text: str, spans: Sequence[TextSpan], whole: str, most: int | None) -> None:
        """Makes words of a text the parts.

        Args:
            text: the text as it is shown.
            spans: where the words stand in it.
            whole: what the model sees of it.
            most: the most parts; None for 64.
        """
        self._text, self._whole = text, whole
        places = [(group[0][0], group[-1][1]) for group in grouped(spans, most or MOST_WORDS)]
        self.parts = tuple(RowPart(text[start:end], (start, end)) for start, end in places)

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


def words_in(text: str) -> list[TextSpan]:
    """Returns where the words of a text stand."""
    return [word.span() for word in re.finditer(_WORD, text)]


def _gap(left: str, right: str) -> str:
    """Returns what must stand between two pieces of text, so that they do not become one word."""
    if not left or left[-1].isspace() or re.match(_IDEOGRAPH, left[-1]) or re.match(_IDEOGRAPH, right):
        return ""
    return " "
