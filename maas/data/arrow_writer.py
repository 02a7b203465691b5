"""Rows on their way from a file to the Arrow file that is kept of it, a batch at a time."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

ROWS_PER_BATCH = 1000
"""Rows of a batch, few enough for texts of any length."""

MARK = b"maas"
UNTYPED, JSON, OBJECTS = b"untyped", b"json", b"objects"
"""Marks of columns of texts: cells of a file that knows no types; values of several types, each written as JSON; the
place of objects that no file holds."""


class ArrowWriter:
    """An Arrow file that is being written.

    Args:
        path: path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.RecordBatchStreamWriter | None = None
        self.notes: list[str] = []
        """What a user should know of the rows, a line each."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows; the first batch has the columns of all."""
        if self._writer is None:
            self._writer = pa.ipc.new_stream(str(self._path), batch.schema)
        self._writer.write_batch(batch)

    def restart(self) -> None:
        """Drops all that was written."""
        self.close()
        self._writer = None

    def close(self) -> None:
        """Ends the file.

        Raises:
            ValueError: nothing was written.
        """
        if self._writer is None:
            raise ValueError("it holds no rows.")
        self._writer.close()


Reader: TypeAlias = Callable[[Path, ArrowWriter], None]
"""Reads a file, which is not packed, into an Arrow file; raises whatever its parser raises, or a ValueError."""


def require_different(names: Sequence[str]) -> None:
    """Refuses columns of one name.

    Raises:
        ValueError: naming them.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        shown = ", ".join(map(repr, twice))
        raise ValueError(f"it has several columns of the name {shown}. Give each column a name of its own.")


def text_field(name: str, mark: bytes | None = None) -> pa.Field:
    """Returns the field of a column of texts."""
    return pa.field(name, pa.string(), metadata={MARK: mark} if mark else None)
