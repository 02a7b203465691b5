"""Rows of CSV and TSV, read by Arrow where that gives the cells that Python's `csv` finds, else by Python's `csv`.

A file is cut into pieces after whole rows, which the quotes before a line break show where they stand as quotes should.
From the first piece on whose quotes do not, Python reads the rest of the file.
"""

import csv
import io
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from maas.data.cells import MISSING, DecimalMark
from maas.data.separated import END, header_names
from maas.errors import DataError, one_line
from maas.predicting.blocks import RowBlock
from maas.predicting.cells import number_column

BYTES_AT_A_TIME = 8 * 2**20
ROWS_BY_PYTHON = 8192
LONGEST_ROW_BYTES = 256 * 2**20
QUOTE, LINE_FEED, RETURN = b'"', b"\n", b"\r"
END_LINE = f"{END}\n"
"""Of a cell that nothing closes it is a part, line break and all."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SeparatedRows:
    """Rows of a file of separated values; its first row names the columns.

    Args:
        path: file in UTF-8.
        delimiter: between cells.
        numbers: columns that become float64; all others are texts as the file has them.
        decimal: what comes before the fraction of a number.

    Raises:
        DataError: it cannot be read, or has no header.
    """

    def __init__(self, path: Path, delimiter: str, numbers: Collection[str] = (), decimal: DecimalMark = ".") -> None:
        self.path = path
        self.size = path.stat().st_size
        self._delimiter, self._decimal = delimiter, decimal
        self._header, self._begin = _header_of(path, delimiter)
        with _readable(path):
            self.names = header_names(self._header)
        self._numbers = [name for name in self.names if name in numbers]
        self.schema = self._schema(self._numbers)

    def blocks(self) -> Iterator[RowBlock]:
        """Yields the rows.

        Raises:
            DataError: the file is no UTF-8.
        """
        with self.path.open("rb") as file:
            file.seek(self._begin)
            done, data, is_sound = self._begin, b"", len(self.names) == len(self._header)
            while is_sound and (piece := file.read(BYTES_AT_A_TIME)):
                data += piece
                is_sound, end = _whole_rows(data, self._delimiter.encode())
                is_sound = is_sound and (end > 0 or len(data) < LONGEST_ROW_BYTES)
                if not is_sound:
                    break
                done += end
                if end:
                    yield self._block(data[:end], done)
                data = data[end:]
            if data and is_sound and data.count(QUOTE) % 2 == 0:
                yield self._block(data, self.size)
            elif data or not is_sound:
                file.seek(done)
                yield from self._by_python(file)

    def _block(self, data: bytes, done: int) -> RowBlock:
        if RETURN in data and data.count(RETURN) != data.count(b"\r\n"):
            return self._of_rows(self._rows_in(data), done)
        try:
            table = self._by_arrow(data, self._numbers)
            if all(pc.all(pc.is_finite(table.column(name))).as_py() is not False for name in self._numbers):
                return RowBlock(table, done=done, decimal=self._decimal)
        except pa.ArrowInvalid:
            pass
        try:
            return self._typed(self._by_arrow(data, ()), {}, done)
        except pa.ArrowInvalid:
            return self._of_rows(self._rows_in(data), done)

    def _by_arrow(self, data: bytes, numbers: Collection[str]) -> pa.Table:
        """Returns the cells of whole rows.

        Raises:
            pa.ArrowInvalid: a row has too few or too many cells, a cell is no number, or no UTF-8.
        """
        types = self._schema(numbers)
        return arrow_csv.read_csv(
            pa.py_buffer(data),
            arrow_csv.ReadOptions(column_names=self.names, block_size=len(data) + 1),
            arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=QUOTE in data),
            arrow_csv.ConvertOptions(
                column_types=types,
                null_values=list(MISSING),
                strings_can_be_null=False,
                decimal_point=self._decimal,
            ),
        )

    def _schema(self, numbers: Collection[str]) -> pa.Schema:
        return pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in self.names])

    def _rows_in(self, data: bytes) -> Iterator[list[str]]:
        with any_length(), _readable(self.path):
            yield from csv.reader(io.StringIO(data.decode(), newline=""), delimiter=self._delimiter)

    def _by_python(self, file: IO[bytes]) -> Iterator[RowBlock]:
        """Yields the rows from here on."""
        lines = io.TextIOWrapper(file, encoding="utf-8", newline="")
        with any_length(), _readable(self.path):
            rows = csv.reader(chain(lines, [END_LINE]), delimiter=self._delimiter)
            while block := list(islice(rows, ROWS_BY_PYTHON)):
                yield self._of_rows(block, self.size)
        lines.detach()

    def _of_rows(self, rows: Iterable[list[str]], done: int) -> RowBlock:
        """Returns rows as columns; those with too few or too many cells are faults."""
        width = len(self.names)
        found: list[Sequence[str | None]] = []
        faults: dict[int, str] = {}
        for row in rows:
            if not row or row == [END]:
                continue
            if fault := _fault(row, width):
                faults[len(found)] = fault
                found.append([None] * width)
            else:
                found.append(row[:width])
        columns = zip(*found, strict=True) if found else [()] * width
        arrays = [pa.array(column, pa.string()) for column in columns]
        return self._typed(pa.Table.from_arrays(arrays, names=self.names), faults, done)

    def _typed(self, table: pa.Table, faults: dict[int, str], done: int) -> RowBlock:
        """Returns texts with numbers where these are wanted; cells that are none are faults."""
        for name in self._numbers:
            numbers, wrong = number_column(table.column(name), name, self._decimal)
            faults = {**wrong, **faults}
            array = pa.array(numbers, from_pandas=True)  # NaN is missing
            table = table.set_column(self.names.index(name), name, array)
        return RowBlock(table, faults, done=done, decimal=self._decimal)


def _header_of(path: Path, delimiter: str) -> tuple[list[str], int]:
    """Returns the cells of the first row, and where the second one begins."""
    taken: list[str] = []

    def counted(lines: TextIO) -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line
        yield END

    with path.open("rb") as file:
        begin = 3 if file.read(3) == BYTE_ORDER_MARK else 0
    with path.open(encoding="utf-8-sig", newline="") as lines, any_length(), _readable(path):
        header = next(filter(None, csv.reader(counted(lines), delimiter=delimiter)))
    return header, begin + sum(len(line.encode()) for line in taken)


def _whole_rows(data: bytes, delimiter: bytes) -> tuple[bool, int]:
    """Returns whether quotes stand where they should, and where the last whole row ends.

    Quotes open and close in turn: one that opens comes after a delimiter, a line break or a quote, and one that closes
    before one of these. A line break is the end of a row where an even number of quotes comes before it.
    """
    if QUOTE not in data:
        return True, data.rfind(LINE_FEED) + 1
    found = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(found == ord(QUOTE))
    bounds = np.frombuffer(delimiter + LINE_FEED + RETURN + QUOTE, np.uint8)
    before = found[np.maximum(quotes[::2] - 1, 0)]
    after = found[np.minimum(quotes[1::2] + 1, len(found) - 1)]
    is_sound = bool(np.isin(before, bounds).all() and np.isin(after, bounds).all())
    end = data.rfind(LINE_FEED) + 1
    while (count := int(np.searchsorted(quotes, end))) % 2:
        end = data.rfind(LINE_FEED, 0, int(quotes[count - 1])) + 1
    return is_sound, end


def _fault(row: Sequence[str], width: int) -> str | None:
    if row[-1].endswith(END_LINE):
        return "The row has a quote that nothing closes; all that follows it in the file was read as its cell."
    if len(row) < width or any(row[width:]):
        return f"The row has {len(row)} cells, and the header names {width} columns."
    return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what a parser raises into a message of one line."""
    try:
        yield
    except (ValueError, csv.Error) as error:
        advice = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{path} cannot be read as csv: {one_line(error)}.{advice}") from error


@contextmanager
def any_length() -> Iterator[None]:
    """Lets cells have any length, rather than 128 KiB."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
