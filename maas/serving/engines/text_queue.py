"""Texts that wait for a slot, in the order of their arrival, by priority."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from maas.serving.call import HIGH, LOW, NORMAL
from maas.serving.engines.jobs import MOST_PASSED

Text = TypeVar("Text")


class TextQueue(Generic[Text]):
    """Texts by priority. None starves: a priority that waits is passed over at most `MOST_PASSED` times in a row."""

    def __init__(self) -> None:
        self._texts = {priority: deque[Text]() for priority in (HIGH, NORMAL, LOW)}
        self._passed = dict.fromkeys(self._texts, 0)

    def __len__(self) -> int:
        return sum(map(len, self._texts.values()))

    def put(self, texts: Sequence[Text], priority: int) -> None:
        """Adds texts."""
        self._texts[priority].extend(texts)

    def remove(self, text: Text) -> bool:
        """Removes a text, and returns whether it was there."""
        for texts in self._texts.values():
            if text in texts:
                texts.remove(text)
                return True
        return False

    def take(self, most: int) -> list[Text]:
        """Returns the texts whose turn it is.

        Args:
            most: number of free slots.
        """
        return [self._next() for _ in range(min(most, len(self)))]

    def _next(self) -> Text:
        waiting = [priority for priority, texts in self._texts.items() if texts]
        first = next((one for one in waiting if self._passed[one] >= MOST_PASSED), waiting[0])
        for priority in waiting:
            self._passed[priority] = 0 if priority == first else self._passed[priority] + 1
        return self._texts[first].popleft()
