"""What takes long says so."""

import logging
import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.progress import track

log = logging.getLogger("maas")
_T = TypeVar("_T")
ROWS_PER_BLOCK = 1024
"""Rows that are read together where one goes through all of them."""
MANY = 1_000_000
"""Rows from which going through all of them is worth a line."""


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
