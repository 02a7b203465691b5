"""Rows of JSON, Parquet, lines of text, and folders of pictures or sounds, a block at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from maas.data.arrow_writer import JSON, MARK, ArrowWriter
from maas.data.columnar import decoded_array
from maas.data.objects import Kinds, batch_of, parsed_object, read_items, widen
from maas.data.workbooks import SheetName, read_workbook
from maas.errors import DataError, one_line
from maas.predicting.blocks import RowBlock

ROWS_AT_A_TIME = 8192
FILE_COLUMN, TEXT_COLUMN = "file", "text"


class ReadObjects(NamedTuple):
    """Objects of a file, why some of them are none, and how many bytes of it have been read."""

    rows: Sequence[dict[str, object]]
    faults: Mapping[int, str]
    done: int


class ObjectRows:
    """Rows of JSON lines, or of a JSON file that is one list, which is read whole.

    Args:
        path: file in UTF-8.
        is_lines: whether there is an object in each line.
        is_typed: whether a first pass over the file gives each column the type that all of its values have.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path, *, is_lines: bool, is_typed: bool) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._is_lines = is_lines
        self._kinds: Kinds | None = None
        self.schema = pa.schema([])
        if is_typed:
            kinds: Kinds = {}
            for rows, _, _ in self._objects():
                names = dict.fromkeys(name for row in rows for name in row)
                widen(kinds, {name: [row.get(name) for row in rows] for name in names})
            self._kinds = kinds
            self.schema = self._table([]).schema

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows.

        Raises:
            DataError: the file is no UTF-8, or a list that is no JSON.
        """
        for rows, faults, done in self._objects():
            yield RowBlock(self._table(rows), faults, rows, done)

    def _table(self, rows: Sequence[dict[str, object]]) -> pa.Table:
        """Returns rows as columns; none of them where objects are written as they are."""
        if self._kinds is None:
            return pa.table({})
        batch = batch_of(rows, self._kinds)
        return pa.table({name: batch.column(name) for name in self._kinds})

    def _objects(self) -> Iterator[ReadObjects]:
        """Yields objects, why some of them are none, and how much of the file has been read."""
        try:
            if not self._is_lines and (items := read_items(self.path)) is not None:
                for start in range(0, len(items), ROWS_AT_A_TIME):
                    done = self.size * (start + 1) // len(items)
                    yield ReadObjects(items[start : start + ROWS_AT_A_TIME], {}, done)
                return
            with self.path.open(encoding="utf-8-sig") as lines:
                yield from self._lines(lines)
        except (ValueError, RecursionError) as error:
            advice = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
            raise DataError(f"{self.path} cannot be read as json: {one_line(error)}.{advice}") from error

    def _lines(self, lines: TextIO) -> Iterator[ReadObjects]:
        done = 0
        written = (line for line in lines if not line.isspace())
        while block := list(islice(written, ROWS_AT_A_TIME)):
            rows: list[dict[str, object]] = []
            faults: dict[int, str] = {}
            for place, line in enumerate(block):
                done += len(line.encode())
                try:
                    rows.append(parsed_object(line, "The line"))
                except (ValueError, RecursionError) as error:
                    rows.append({})
                    faults[place] = f"{one_line(error)}."
            yield ReadObjects(rows, faults, done)


class ParquetRows:
    """Rows of a Parquet file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self.size = int(file.metadata.num_rows)
                empty = pa.Table.from_batches([], file.schema_arrow)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as parquet: {one_line(error)}.") from error
        self.schema = _plain(empty).schema

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows.

        Raises:
            DataError: the file is damaged.
        """
        done = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(ROWS_AT_A_TIME):
                    done += batch.num_rows
                    yield RowBlock(_plain(pa.Table.from_batches([batch])), done=done)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} cannot be read as parquet: {one_line(error)}.") from error


def _plain(table: pa.Table) -> pa.Table:
    """Returns the values of categories and extensions rather than what stands for them."""
    columns = {name: decoded_array(table.column(name)) for name in table.column_names}
    return pa.table(columns)


class WorkbookRows:
    """Rows of a sheet, which is read whole and kept as an Arrow file.

    Args:
        path: the workbook.
        sheet: name or place of its sheet; None for the first that holds anything.
        scratch: folder for the Arrow file.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path, sheet: SheetName | None, scratch: Path) -> None:
        self.path = path
        self._rows = scratch / "rows.arrow"
        writer = ArrowWriter(self._rows)
        try:
            read_workbook(path, writer, sheet=sheet)
            writer.close()
        except (ValueError, OSError) as error:
            raise DataError(f"{path} cannot be read as a workbook: {one_line(error)}.") from error
        with pa.ipc.open_stream(self._rows) as stream:
            fields = list(stream.schema)
            self.size = sum(batch.num_rows for batch in stream)
        self._mixed = [field.name for field in fields if (field.metadata or {}).get(MARK) == JSON]
        self.schema = pa.schema([(field.name, field.type) for field in fields])

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows."""
        done = 0
        with pa.ipc.open_stream(self._rows) as stream:
            for batch in stream:
                done += batch.num_rows
                rows = batch.to_pylist()
                for row in rows:
                    row.update({name: json.loads(row[name]) for name in self._mixed if row[name] is not None})
                table = pa.Table.from_arrays(batch.columns, schema=self.schema)
                yield RowBlock(table, objects=rows, done=done)


class LineRows:
    """Lines of text, each a row.

    Args:
        path: file in UTF-8.
    """

    schema = pa.schema([(TEXT_COLUMN, pa.string())])

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows.

        Raises:
            DataError: the file is no UTF-8.
        """
        done = 0
        try:
            with self.path.open(encoding="utf-8-sig") as lines:
                while block := [line.removesuffix("\n") for line in islice(lines, ROWS_AT_A_TIME)]:
                    done += sum(len(line.encode()) + 1 for line in block)
                    yield RowBlock(pa.table({TEXT_COLUMN: pa.array(block, pa.string())}), done=done)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path} cannot be read as text: {one_line(error)}. Save it as UTF-8.") from error


class FolderRows:
    """Pictures or sounds below a folder, in the order of their names; a row is the file's path below the folder.

    Args:
        path: the folder.
        files: those that count.
    """

    schema = pa.schema([(FILE_COLUMN, pa.string())])

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self.path = path
        self._files = files
        self.size = len(files)

    @property
    def listing(self) -> list[tuple[str, int, int]]:
        """Name, size and time of the last change of each file."""
        statuses = [(file, file.stat()) for file in self._files]
        return [(str(file.relative_to(self.path)), one.st_size, one.st_mtime_ns) for file, one in statuses]

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows."""
        for start in range(0, self.size, ROWS_AT_A_TIME):
            files = self._files[start : start + ROWS_AT_A_TIME]
            names = [file.relative_to(self.path).as_posix() for file in files]
            yield RowBlock(pa.table({FILE_COLUMN: pa.array(names, pa.string())}), done=start + len(files))
