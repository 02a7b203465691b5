"""Raw inputs at chosen places of a table, read on access; what takes long shows how far it is."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

log = logging.getLogger("maas")

_T = TypeVar("_T")

ROWS_PER_BLOCK = 1024
"""Rows that are read together where one goes through all of them."""

MANY = 1_000_000
"""Rows from which going through all of them is worth a line."""


class Rows(Sequence[Any]):
    """Rows of one column or of several, one after the other; texts come without the blanks around them.

    Args:
        columns: columns that hold the rows.
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


def with_progress(steps: Iterable[_T], total: int, what: str) -> Iterable[_T]:
    """Passes steps on and shows how far they are: a bar on a terminal, one line otherwise."""
    if sys.stdout.isatty():
        return track(steps, what, total)
    log.info("data      %s", what)
    return steps


def blocks(count: int, what: str) -> Iterable[int]:
    """Returns where the blocks of so many rows begin; shows how far they are where there are many."""
    starts = range(0, count, ROWS_PER_BLOCK)
    return starts if count < MANY else with_progress(starts, len(starts), f"{what} {count:,} rows")
