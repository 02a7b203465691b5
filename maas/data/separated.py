"""Separated values, CSV and TSV: each cell is the text that Python's `csv` finds there, and nothing is guessed.

The first row names the columns. Rows and header have as many cells; what a row has beyond that must be empty.
"""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from maas.data.arrow_writer import ROWS_PER_BATCH, UNTYPED, ArrowWriter, require_different, text_field
from maas.data.cells import is_number
from maas.errors import shortened_value

MARKED_UTF_8 = "utf-8-sig"
"""UTF-8, with a mark at its beginning or without."""
END = "\ue000the file ends here\ue000"
"""A line of our own after the last one, from which a quote is known that nothing closes."""

_CellTexts = list[str]


def read_separated(file: Path, writer: ArrowWriter, *, delimiter: str, encoding: str = MARKED_UTF_8) -> None:
    """Reads texts between separators.

    Args:
        file: file with a header.
        writer: writer that takes the rows, each column one of texts.
        delimiter: between cells.
        encoding: encoding of the file.

    Raises:
        ValueError: there is no header, two columns have one name, a row has too few or too many cells, or a quote is
            not closed.
        csv.Error: the file is none of separated values.
    """
    with _records(file, delimiter, encoding) as records:
        header = next(filter(None, records))
        names = header_names(header)
        schema = pa.schema([text_field(name, UNTYPED) for name in names])
        writer.write(pa.RecordBatch.from_pylist([], schema=schema))
        is_cut, is_whole = len(names) < len(header), False
        while block := list(islice(records, ROWS_PER_BATCH)):
            if block[-1] == [END]:
                block.pop()
                is_whole = True
            rows = [row for row in block if row]
            if not rows:
                continue
            if set(map(len, rows)) != {len(names)}:
                rows = _fitted(rows, len(names)) or _refuse(file, delimiter, encoding)
                is_cut = True
            arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
            writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    if not is_whole:
        _refuse(file, delimiter, encoding)
    if is_cut:
        writer.notes.append(
            "rows end in more separators than the header names columns; what is empty there is left out"
        )


@contextmanager
def _records(file: Path, delimiter: str, encoding: str) -> Iterator[Any]:
    """Yields the reader of a file's rows, the last of which is the mark of its end."""
    limit = csv.field_size_limit(sys.maxsize)  # else a text has at most 128 KiB
    try:
        with file.open(encoding=encoding, newline="") as lines:
            yield csv.reader(chain(lines, [END]), delimiter=delimiter)
    finally:
        csv.field_size_limit(limit)


def header_names(header: _CellTexts) -> _CellTexts:
    """Returns the names of the columns, less those at the end that are empty.

    Raises:
        ValueError: there is none, two are the same, or a quote is not closed.
    """
    names = list(header)
    while names and not names[-1]:
        names.pop()
    if names in ([], [END]):
        raise ValueError("it has no header. Name the columns in its first line.")
    if names[-1].endswith(END):
        raise ValueError("its header has a quote that nothing closes. Close it.")
    if len(set(names)) < len(names) and 2 * sum(map(is_number, names)) > len(names):
        shown = shortened_value(",".join(names))
        raise ValueError(f"its first line, {shown}, holds numbers. Add a line before it that names the columns.")
    require_different(names)
    return names


def _fitted(rows: Sequence[_CellTexts], width: int) -> list[_CellTexts]:
    """Returns rows of this many cells; none of them where one row lacks cells or has others that are not empty."""
    return [] if any(map(_misfits(width), rows)) else [row[:width] for row in rows]


def _misfits(width: int) -> Callable[[_CellTexts], bool]:
    return lambda row: len(row) < width or any(row[width:])


def _refuse(file: Path, delimiter: str, encoding: str) -> list[_CellTexts]:
    """Finds the first row that does not fit.

    Raises:
        ValueError: with its line and its number of cells.
    """
    with _records(file, delimiter, encoding) as records:
        width = len(header_names(next(filter(None, records))))
        misfits, line = _misfits(width), records.line_num + 1
        for row in records:
            if row and row != [END]:
                if row[-1].endswith(END):
                    raise ValueError(f"the row that begins in line {line} has a quote that nothing closes. Close it.")
                if misfits(row):
                    raise ValueError(
                        f"line {line} has {len(row)} cells, and the header names {width} columns. Give rows and header "
                        "as many, and put quotes around a cell that holds the separator."
                    )
            line = records.line_num + 1
    raise ValueError("it changed while it was read. Read it again.")
