"""Parquet files and lines of text, read a batch at a time."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from maas.data.arrow_writer import ROWS_PER_BATCH, ArrowWriter, require_different, text_field


def read_lines(file: Path, writer: ArrowWriter) -> None:
    """Reads lines in UTF-8 as the column `text`."""
    schema = pa.schema([text_field("text")])
    with file.open(encoding="utf-8-sig") as lines:
        texts = (line.removesuffix("\n") for line in lines)
        while block := list(islice(texts, ROWS_PER_BATCH)):
            writer.write(pa.RecordBatch.from_arrays([pa.array(block, pa.string())], schema=schema))


def read_parquet(file: Path, writer: ArrowWriter) -> None:
    """Reads Parquet; an index that pandas has stored is a column where it has a name.

    Raises:
        ValueError: two columns have one name.
        pa.ArrowException: the file is no Parquet.
    """
    with pq.ParquetFile(file) as opened:
        found = opened.schema_arrow
        require_different(found.names)
        counted, left_out = _indices(found)
        start = 0
        for batch in _batches(opened, found):
            columns = {name: decoded_array(batch.column(name)) for name in found.names if name not in left_out}
            for index in counted:
                first = index["start"] + index["step"] * start
                columns[index["name"]] = pa.array(
                    range(first, first + index["step"] * batch.num_rows, index["step"]), pa.int64()
                )
            writer.write(pa.RecordBatch.from_pydict(columns).replace_schema_metadata(found.metadata))
            start += batch.num_rows


def _batches(opened: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    if not opened.metadata.num_rows:
        yield pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
    yield from opened.iter_batches(ROWS_PER_BATCH)


def _indices(schema: pa.Schema) -> tuple[list[dict[str, Any]], set[str]]:
    """Returns the indices of pandas that have a name and count rows, and the columns of those that have no name."""
    indices = (schema.pandas_metadata or {}).get("index_columns", [])
    counted = [one for one in indices if isinstance(one, dict) and one.get("name") and one["name"] not in schema.names]
    return counted, {one for one in indices if isinstance(one, str) and one.startswith("__index_level_")}


def decoded_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns an array as other columns hold theirs: the values of categories, and what an extension stores."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        return decoded_array(column.storage)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
