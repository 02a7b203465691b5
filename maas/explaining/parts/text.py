"""Words as parts: removed ones are cut out of the text, and the others shown in their places."""

from bisect import bisect_left
from typing import Any

import numpy as np

from maas.explaining.words import TextSpan, Words, words_in
from maas.runtime.processors import Array, SingleArrayProcessor


class TextParts(Words):
    """Words of a text. What the processor cuts off either end of a long one is no part: the model never saw it."""

    def __init__(
        self, row: Any, processor: SingleArrayProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        (whole,) = processor.arrays([row])
        words = words_in(row)
        spans = _seen(row, words, processor, whole)
        self.cut_(row, spans, row if spans == words else row[spans[0][0] : spans[-1][1]], most)


def _seen(text: str, spans: list[TextSpan], processor: SingleArrayProcessor, whole: Array) -> list[TextSpan]:
    """Returns the words that alone give the same features as the whole text, which may have been cut at either end."""

    def is_enough(first: int, last: int) -> bool:
        return np.array_equal(processor.arrays([text[spans[first][0] : spans[last][1]]])[0], whole)

    last = bisect_left(range(len(spans) - 1), True, key=lambda index: is_enough(0, index))
    first = bisect_left(range(last), True, key=lambda index: not is_enough(index + 1, last))
    return spans[first : last + 1]
