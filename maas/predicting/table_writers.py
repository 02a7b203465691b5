"""Writers of tables, a part at a time: Parquet, CSV and TSV, lines of JSON, lines of text.

What is written depends on the rows alone, never on when a part of them came: the same rows give the same bytes.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from maas.predicting.blocks import RowBlock

ROWS_PER_GROUP, BYTES_PER_GROUP = 64 * 1024, 64 * 2**20
"""Of a group of rows in Parquet, whichever is reached first."""
PARQUET, SEPARATED, OBJECTS, TEXTS = (".parquet",), (".csv", ".tsv"), (".jsonl",), (".txt",)
WRITTEN_ENDINGS = (*SEPARATED, *OBJECTS, *PARQUET, *TEXTS)


class TableWriter(Protocol):
    """Writes rows to a file; `close` ends it."""

    def write(self, part: RowBlock, predictions: pa.Table) -> None:
        """Adds rows: columns that are kept, and predictions beside them."""
        ...

    def close(self) -> None:
        """Writes what is held, and closes the file."""
        ...


class ParquetTable:
    """Parquet in groups of rows.

    Args:
        path: file to write.
        schema: all columns.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema)
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, part: RowBlock, predictions: pa.Table) -> None:
        """Holds rows until they fill a group."""
        columns = [*part.table.columns, *predictions.columns]
        table = pa.Table.from_arrays(columns, names=self._schema.names).cast(self._schema)
        self._held.append(table)
        self._rows += len(table)
        self._bytes += table.nbytes
        if self._rows >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        whole = pa.concat_tables(self._held).combine_chunks()  # pages begin where chunks do
        self._writer.write_table(whole, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        """Writes the last group."""
        if self._held:
            self._write_group()
        self._writer.close()


class SeparatedTable:
    """CSV or TSV in UTF-8: a cell is a text, a number as Python writes it, or JSON; a missing one is empty.

    Args:
        path: file to write.
        schema: all columns.
        delimiter: between cells.
    """

    def __init__(self, path: Path, schema: pa.Schema, delimiter: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, delimiter=delimiter, lineterminator="\n")
        self._writer.writerow(schema.names)

    def write(self, part: RowBlock, predictions: pa.Table) -> None:
        """Writes rows."""
        columns = [*part.table.columns, *predictions.columns]
        self._writer.writerows(zip(*map(_cells, columns), strict=True))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _cells(column: pa.ChunkedArray) -> Sequence[object]:
    values: list[object] = column.to_pylist()
    type_ = column.type
    if pa.types.is_nested(type_) or pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return [None if value is None else _json(value).decode().strip('"') for value in values]
    return values


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=_moment)
    except UnicodeEncodeError:  # half of a surrogate pair, which a file of JSON can hold
        return json.dumps(value, separators=(",", ":")).encode()


def _moment(value: object) -> str:
    """Returns a moment or a length of time in ISO 8601, as pandas has it of nanoseconds.

    Raises:
        NotImplementedError: it is neither.
    """
    if not hasattr(value, "isoformat"):
        raise NotImplementedError(f"a {type(value).__name__}")
    return str(value.isoformat())


class ObjectLines:
    """An object of JSON in each line; those of a file of JSON keep what they hold.

    Args:
        path: file to write.
        kept: columns that are kept of objects; None for all.
    """

    def __init__(self, path: Path, kept: Sequence[str] | None) -> None:
        self._file = path.open("wb")
        self._kept = kept

    def write(self, part: RowBlock, predictions: pa.Table) -> None:
        """Writes rows."""
        rows = self._rows(part)
        lines = [_json({**row, **one}) + b"\n" for row, one in zip(rows, predictions.to_pylist(), strict=True)]
        self._file.write(b"".join(lines))

    def _rows(self, part: RowBlock) -> Iterator[Mapping[str, object]]:
        if part.objects is None:
            yield from part.table.to_pylist() if part.table.num_columns else ({} for _ in range(len(part)))
        elif self._kept is None:
            yield from part.objects
        else:
            yield from ({name: row.get(name) for name in self._kept} for row in part.objects)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TextLines:
    """The first column of the predictions, a line for each row; an empty one where there is no prediction.

    Args:
        path: file to write.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")

    def write(self, part: RowBlock, predictions: pa.Table) -> None:
        """Writes rows."""
        text = io.StringIO()
        for cell in _cells(predictions.column(0)):
            text.write("\n" if cell is None else f"{' '.join(str(cell).splitlines())}\n")
        self._file.write(text.getvalue().encode())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def table_writer(
    path: Path, ending: str, kept: pa.Schema, predictions: pa.Schema, names: Sequence[str] | None
) -> TableWriter:
    """Opens a file.

    Args:
        path: file to write.
        ending: one of `WRITTEN_ENDINGS`.
        kept: columns of the input that are written.
        predictions: columns of the predictions.
        names: columns that are kept of objects of JSON; None for all.
    """
    if ending in TEXTS:
        return TextLines(path)
    if ending in OBJECTS:
        return ObjectLines(path, names)
    schema = pa.schema([*kept, *predictions])
    return (
        ParquetTable(path, schema)
        if ending in PARQUET
        else SeparatedTable(path, schema, "\t" if ending == ".tsv" else ",")
    )
