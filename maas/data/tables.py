"""Tables as sources give them. Columns of Arrow files are read on access: memory holds little of them.

The system maps a file's pages into the process as they are read; all are let go again after `LET_GO_BYTES`.
"""

import mmap
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias
from weakref import WeakSet

import pyarrow as pa
from datasets import Audio, ClassLabel, Dataset, Features, Image

from maas.data.cells import ColumnDecoder

LET_GO_BYTES = 128 * 2**20
FAULT_BYTES = 3 * 64 * 2**10
"""What Linux maps around the pages of a value (`fault_around_bytes`): of its bytes, its offset and its validity."""

NO_DECODERS: Mapping[str, Any] = MappingProxyType({})


class _Pages:
    """Pages of all mapped files together, as they share one process's memory."""

    def __init__(self) -> None:
        self._maps: WeakSet[mmap.mmap] = WeakSet()
        self._bytes = 0

    def watch(self, mapped: mmap.mmap) -> None:
        self._maps.add(mapped)

    def count(self, read_bytes: int) -> None:
        self._bytes += read_bytes + FAULT_BYTES
        if self._bytes > LET_GO_BYTES:
            self._bytes = 0
            for mapped in list(self._maps):
                mapped.madvise(mmap.MADV_DONTNEED)


PAGES = _Pages()


class ArrowRows:
    """Rows of one Arrow table, in memory or mapped from a file.

    Args:
        table: the rows.
        is_mapped: whether the rows lie in a mapped file.
    """

    def __init__(self, table: pa.Table, *, is_mapped: bool = False) -> None:
        self._table = table
        self._is_mapped = is_mapped
        self._batches = table.to_batches()
        self._starts = list(accumulate((batch.num_rows for batch in self._batches), initial=0))
        self.names: list[str] = table.column_names
        is_of_datasets = b"huggingface" in (table.schema.metadata or {})
        self._features = Features.from_arrow_schema(table.schema) if is_of_datasets else {}

    @classmethod
    def open(cls, path: Path) -> "ArrowRows":
        """Maps an Arrow file, a stream of batches."""
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        PAGES.watch(mapped)
        return cls(pa.ipc.open_stream(pa.py_buffer(mapped)).read_all(), is_mapped=True)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def with_columns(self, names: Iterable[str]) -> "ArrowRows":
        """Returns rows that have these columns as well, null where they were not there."""
        table = self._table
        for name in names:
            if name not in self.names:
                table = table.append_column(name, pa.nulls(len(self)))
        return ArrowRows(table, is_mapped=self._is_mapped)

    def field(self, name: str) -> pa.Field:
        """Returns what Arrow knows of a column."""
        return self._table.schema.field(name)

    def feature(self, name: str) -> object:
        """Returns what `datasets` knows of a column; None where it did not read the file."""
        return self._features.get(name)

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Yields a column, a batch at a time."""
        for batch in self._batches:
            found = batch.column(name)
            yield found
            if self._is_mapped:
                PAGES.count(found.nbytes)

    def between(self, name: str, start: int, stop: int) -> list[Any]:
        """Returns a column's values from `start` to before `stop`."""
        return self._taken(self._table.column(name).slice(start, stop - start))

    def at(self, name: str, index: int) -> Any:
        """Returns one value of a column."""
        place = bisect_right(self._starts, index) - 1
        return self._taken(self._batches[place].column(name).slice(index - self._starts[place], 1))[0]

    def _taken(self, values: pa.Array | pa.ChunkedArray) -> list[Any]:
        found: list[Any] = values.to_pylist()
        if self._is_mapped:
            PAGES.count(values.nbytes)
        return found


class Column(Sequence[Any]):
    """What is made of some columns of a table, a value a row, each time that it is read.

    Classes are read by name, images and sounds as the bytes or the path of their file.

    Args:
        parts: the table's rows, one part after the other.
        names: names of the columns.
        make: one row's values of these columns to its value; None takes the value of a single column as it is.
        cells: for each column and part, the decoder of Arrow's values, many at a time; None where they
            are plain already. Columns that are not named here are read as `datasets` has them.
    """

    def __init__(
        self,
        parts: Sequence[ArrowRows],
        names: Sequence[str],
        make: Callable[..., Any] | None = None,
        cells: Mapping[str, Sequence[ColumnDecoder | None]] = NO_DECODERS,
    ) -> None:
        self._parts = parts
        self._starts = list(accumulate(map(len, parts), initial=0))
        self._names = list(names)
        self._cells = [cells.get(name) or [decoder_of(part.feature(name)) for part in parts] for name in names]
        self._make = make

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            place = range(len(self))[index]
            part = bisect_right(self._starts, place) - 1
            row = place - self._starts[part]
            found = [self._parts[part].at(name, row) for name in self._names]
            cells = [of_column[part] for of_column in self._cells]
            return self._made([make([one])[0] if make else one for make, one in zip(cells, found, strict=True)])
        start, stop, step = index.indices(len(self))
        if step != 1:
            return [self[place] for place in range(start, stop, step)]
        columns = [self._between(place, start, max(start, stop)) for place in range(len(self._names))]
        return columns[0] if self._make is None else list(map(self._made, zip(*columns, strict=True)))

    def _made(self, values: Sequence[Any]) -> Any:
        return self._make(*values) if self._make else values[0]

    def _between(self, column: int, start: int, stop: int) -> list[Any]:
        name = self._names[column]
        found: list[Any] = []
        for part, begin, make in zip(self._parts, self._starts, self._cells[column], strict=False):
            first, last = max(start - begin, 0), min(stop - begin, len(part))
            if first < last:
                values = part.between(name, first, last)
                found += make(values) if make else values
        return found


def arrow_parts(table: Dataset) -> list[ArrowRows]:
    """Returns the rows of a data set: those of its files, where it has not been altered since it was read of them."""
    if table._indices is not None:  # noqa: SLF001 - it has no other name
        return [ArrowRows(table.flatten_indices().data.table)]
    files = [ArrowRows.open(Path(file["filename"])) for file in table.cache_files]
    return files if sum(map(len, files)) == len(table) and files else [ArrowRows(table.data.table)]


def decoder_of(feature: object) -> ColumnDecoder | None:
    """Returns what makes plain values of classes, images and sounds of `datasets`; None for all else."""
    if isinstance(feature, Image | Audio):
        return lambda files: [file and (file["bytes"] or Path(file["path"])) for file in files]
    if isinstance(feature, ClassLabel):  # -1 and null stand for no label
        return lambda values: [None if value is None or value < 0 else feature.int2str(value) for value in values]
    return None


Table: TypeAlias = Dataset | Mapping[str, Sequence[Any]]
"""Rows as two columns: those of a data set, or sequences, lists and columns that are read from a disk on access."""

Tables: TypeAlias = dict[str, Table]
"""Tables by split name; `all` stands for rows not split yet."""


def column_of(table: Table, name: str) -> Sequence[Any]:
    """Returns a column as a sequence of which slices can be read."""
    return Column(arrow_parts(table), [name]) if isinstance(table, Dataset) else table[name]
