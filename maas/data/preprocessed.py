"""Rows as a net takes them: preprocessed once and kept, or each time again where keeping takes too much memory."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from maas.data.rows import as_rows
from maas.errors import InputError
from maas.runtime.codec import Features, nbytes_of
from maas.runtime.processors import Processor, preprocessed_pieces

KEPT_BYTES = 256 * 2**20
"""Of preprocessed rows that are kept. Fixed, not a fraction of the memory: the order of batches depends on it."""
ARRAY_BYTES = 128
"""Of an array, in addition to its content."""
ROWS_MEASURED = 1024
"""Rows that are preprocessed before the bytes of all are estimated."""


class PreprocessedRows:
    """Preprocessed rows by number.

    Args:
        processor: fitted.
        inputs: N raw inputs.
    """

    def __init__(self, processor: Processor, inputs: Sequence[Any]) -> None:
        self._processor = processor
        self._inputs = as_rows(inputs)
        self._kept = _kept(processor, inputs)
        sizes = _sizes(processor, inputs) if self._kept is None else map(processor.bucket, self._kept)
        self.keys = np.fromiter(sizes, np.int64, len(inputs))
        """int64 (N,), the padded size of each row; where preprocessed rows are not kept, about in proportion to it."""

    def __len__(self) -> int:
        return len(self._inputs)

    def take(self, indices: Sequence[int]) -> Sequence[Features]:
        """Returns the rows of these numbers."""
        if self._kept is not None:
            return [self._kept[index] for index in indices]
        rows = list(self._inputs.picked(np.asarray(indices)))
        try:
            return self._processor.preprocess(rows)
        except InputError:
            self._require_readable(rows, indices)
            raise

    def _require_readable(self, rows: Sequence[Any], indices: Sequence[int]) -> None:
        """Reads rows of a batch one by one, so that a message has the row's number in its split and not in the batch.

        Raises:
            InputError: a row cannot be understood.
        """
        for row, index in zip(rows, indices, strict=True):
            try:
                self._processor.preprocess([row])
            except InputError as error:
                raise InputError(str(error).replace("Row 0 ", f"Row {index} of its split ", 1)) from error

    def pieces(self) -> Iterator[Sequence[Features]]:
        """Yields all rows in their order, many at a time."""
        return preprocessed_pieces(self._processor, self._inputs) if self._kept is None else iter([self._kept])


def _kept(processor: Processor, inputs: Sequence[Any]) -> list[Features] | None:
    """Returns all rows preprocessed; None as soon as they will take more than `KEPT_BYTES`."""
    kept: list[Features] = []
    size = 0
    for piece in preprocessed_pieces(processor, inputs):
        kept += piece
        size += sum(nbytes_of(row) + ARRAY_BYTES for row in piece)
        if len(kept) >= min(ROWS_MEASURED, len(inputs)) and size * len(inputs) > KEPT_BYTES * len(kept):
            return None
    return kept


def _sizes(processor: Processor, inputs: Sequence[Any]) -> Iterator[int]:
    """Yields what rows are sorted by that are not preprocessed yet: 0 where they are all padded to one size."""
    is_one_size = all(not axis for axes in processor.dynamic_axes.values() for axis in axes)
    return repeat(0, len(inputs)) if is_one_size else map(_length, inputs)


def _length(value: object) -> int:
    """Returns the characters of a text or the bytes of a file, as tokens and samples are about as many; 0 for others.

    A file that is gone has none: reading it later says so.
    """
    if isinstance(value, Path):
        return value.stat().st_size if value.is_file() else 0
    return len(value) if isinstance(value, str | bytes) else 0
