"""Rows on their way from a file to a model: blocks as a file gives them, cut into parts of equal length."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from maas.data.cells import DecimalMark
from maas.predicting.cells import Cells


@dataclass(frozen=True)
class RowBlock:
    """Rows of a file that follow each other.

    Args:
        table: columns as the file has them; a row that could not be read has nothing in any of them.
        faults: why a row cannot be predicted, by its place in the block.
        objects: rows as the file has them, where they are objects of JSON; the table has no columns where they are
            written as such again.
        done: part of the file that has been read with these rows, in units of the file's `size`.
        decimal: what comes before the fraction of a number that is a text.
    """

    table: pa.Table
    faults: Mapping[int, str] = field(default_factory=dict)
    objects: Sequence[Mapping[str, object]] | None = field(default=None, repr=False)
    done: int = 0
    decimal: DecimalMark = "."

    def __len__(self) -> int:
        return int(self.table.num_rows) if self.objects is None else len(self.objects)

    def column(self, name: str) -> Cells:
        """Returns the cells of a column; nothing in each of them where the block has no such column."""
        if self.objects is not None:
            return [row.get(name) for row in self.objects]
        return self.table.column(name)

    def between(self, start: int, stop: int) -> "RowBlock":
        """Returns the rows from `start` to before `stop`."""
        faults = {place - start: reason for place, reason in self.faults.items() if start <= place < stop}
        objects = None if self.objects is None else self.objects[start:stop]
        return RowBlock(self.table.slice(start, stop - start), faults, objects, self.done, self.decimal)


class FileRows(Protocol):
    """Rows of a file or a folder.

    `schema` has the columns of all blocks; one of JSON lines that are written as such again has none. `size` is how
    much there is to read, in units of its own.
    """

    path: Path
    size: int
    schema: pa.Schema

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows, from the first to the last.

        Raises:
            DataError: the file cannot be read any further.
        """
        ...


def parts_of_rows(blocks: Iterable[RowBlock], rows: int) -> Iterator[RowBlock]:
    """Yields blocks of this many rows, the last of fewer; their bounds depend on nothing but the rows' number."""
    held: list[RowBlock] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= rows:
            whole = joined_blocks(held)
            starts = range(0, count - rows + 1, rows)
            yield from (whole.between(start, start + rows) for start in starts)
            held, count = [whole.between(len(starts) * rows, count)], count - len(starts) * rows
    if count:
        yield joined_blocks(held)


def joined_blocks(blocks: Sequence[RowBlock]) -> RowBlock:
    """Returns blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    faults: dict[int, str] = {}
    start = 0
    for block in blocks:
        faults |= {start + place: reason for place, reason in block.faults.items()}
        start += len(block)
    table = pa.concat_tables([block.table for block in blocks], promote_options="default")
    objects = [block.objects for block in blocks if block.objects is not None]
    rows = [row for part in objects for row in part] if objects else None
    return RowBlock(table, faults, rows, blocks[-1].done, blocks[-1].decimal)
