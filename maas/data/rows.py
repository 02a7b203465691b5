"""Raw inputs at chosen places of a table, read when they are asked for."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.waiting import ROWS_PER_BLOCK, blocks


class Rows(Sequence[Any]):
    """Rows of one column or of several, one behind the other; texts come without the blanks around them.

    Args:
        columns: what the rows are read of.
        places: int64 (N,), counted through all columns.
    """

    def __init__(self, columns: Sequence[Sequence[Any]], places: NDArray[np.int64]) -> None:
        self._sources = columns
        self._starts = np.array(list(accumulate(map(len, columns), initial=0)))
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._read(self._places[index])
        return self._read(self._places[index : index + 1 or None])[0]

    def __iter__(self) -> Iterator[Any]:
        for start in blocks(len(self), "reading"):
            yield from self._read(self._places[start : start + ROWS_PER_BLOCK])

    def picked(self, indices: NDArray[np.int64]) -> "Rows":
        """Returns the rows at these positions."""
        return Rows(self._sources, self._places[indices])

    def _read(self, places: NDArray[np.int64]) -> list[Any]:
        sources = np.searchsorted(self._starts, places, side="right") - 1
        within = places - self._starts[sources]
        found = (self._sources[source][row] for source, row in zip(sources.tolist(), within.tolist(), strict=True))
        return [value.strip() if isinstance(value, str) else value for value in found]


def as_rows(inputs: Sequence[Any]) -> Rows:
    """Returns all rows of a sequence, which may be such rows already."""
    return inputs if isinstance(inputs, Rows) else Rows([inputs], np.arange(len(inputs)))
