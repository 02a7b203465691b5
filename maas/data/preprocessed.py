"""Rows as a net takes them: encoded once and kept, or each time anew where keeping them would take too much memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from maas.data.rows import as_rows
from maas.runtime.processors import Features, Processor, preprocessed_pieces

KEPT_BYTES = 256 * 2**20
"""Encoded rows that are kept. Fixed, and not a share of the machine's memory, as the order of batches depends on it."""
ARRAY_BYTES = 128
"""Of an array beside its content."""
ROWS_MEASURED = 1024
"""Rows that are encoded before the bytes of all are estimated."""


class Encoded:
    """Encoded rows by number.

    Args:
        processor: fitted.
        inputs: N raw inputs.
    """

    def __init__(self, processor: Processor, inputs: Sequence[Any]) -> None:
        self._processor = processor
        self._inputs = as_rows(inputs)
        self._kept = _kept(processor, inputs)
        sizes = map(_length, inputs) if self._kept is None else map(processor.bucket, self._kept)
        self.keys = np.fromiter(sizes, np.int64, len(inputs))
        """int64 (N,), the padded size of each row; the length of its text where encoded rows are not kept."""

    def __len__(self) -> int:
        return len(self._inputs)

    def take(self, indices: Sequence[int]) -> list[Features]:
        """Returns the rows of these numbers."""
        if self._kept is not None:
            return [self._kept[index] for index in indices]
        return self._processor.preprocess(list(self._inputs.picked(np.asarray(indices))))

    def pieces(self) -> Iterator[list[Features]]:
        """Yields all rows in their order, many at a time."""
        return preprocessed_pieces(self._processor, self._inputs) if self._kept is None else iter([self._kept])


def _kept(processor: Processor, inputs: Sequence[Any]) -> list[Features] | None:
    """Returns all rows encoded; None as soon as they will take more than `KEPT_BYTES`."""
    kept: list[Features] = []
    size = 0
    for piece in preprocessed_pieces(processor, inputs):
        kept += piece
        size += sum(row.nbytes + ARRAY_BYTES for row in piece)
        if len(kept) >= min(ROWS_MEASURED, len(inputs)) and size * len(inputs) > KEPT_BYTES * len(kept):
            return None
    return kept


def _length(value: Any) -> int:
    """Returns the characters of a text, as its tokens are about as many; 0 for rows of other kinds."""
    return len(value) if isinstance(value, str) else 0
