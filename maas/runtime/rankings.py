"""Rankings as one array, as graphs give them: items by their number, the best first, with their scores.

A row's ranking has R places, and fewer items where fewer are wanted or left. The array is (N, 2R + 1): R scores, R
numbers of items, and by how many known items the row was ranked. Float32 holds whole numbers up to 2²⁴.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_RANKED = 100
"""Places of a ranking; of fewer items, as many as there are."""
MOST_ITEMS = 2**24
"""Items that a model may know: float32 has a number for each."""
NO_ITEM = -1
"""The number in a place that no item has; its score is 0."""


class Rankings(NamedTuple):
    """The rankings of N rows.

    Args:
        scores: (N, R), the best first; 0 after the last item.
        items: int64 (N, R), numbers of items; `NO_ITEM` after the last.
        known: int64 (N,), the number of items that each row was ranked by; 0 ranks by popularity.
    """

    scores: NDArray[Any]
    items: NDArray[np.int64]
    known: NDArray[np.int64]

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Rankings":
        """Reads an array (N, 2R + 1)."""
        places = array.shape[1] // 2
        return cls(array[:, :places], array[:, places:-1].astype(np.int64), array[:, -1].astype(np.int64))

    @property
    def is_item(self) -> NDArray[np.bool_]:
        """Which places hold an item, (N, R)."""
        found: NDArray[np.bool_] = self.items != NO_ITEM
        return found

    def array(self) -> NDArray[np.float32]:
        """Returns the array (N, 2R + 1)."""
        return np.concatenate([self.scores, self.items, self.known[:, None]], axis=1).astype(np.float32)


def places_of(items: int) -> int:
    """Returns R for so many items."""
    return min(MOST_RANKED, items)
