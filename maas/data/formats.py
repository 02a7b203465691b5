"""Which file is of which format, by its name, and what reads it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maas.data.arrow_writer import Reader
from maas.data.columnar import read_lines, read_parquet
from maas.data.objects import read_objects
from maas.data.separated import read_separated
from maas.data.unpacking import PACKED_ENDINGS
from maas.errors import DataError


@dataclass(frozen=True)
class TableFormat:
    """What reads a kind of files.

    Args:
        name: name for messages.
        read: the reader.
        detail: settings that the rows depend on, in addition to the file.
    """

    name: str
    read: Reader
    detail: str = ""


def separated(delimiter: str) -> TableFormat:
    """Returns the format of values between separators."""
    return TableFormat("csv", partial(read_separated, delimiter=delimiter), delimiter)


TEXT = TableFormat("text", read_lines)
TABLE_FORMATS = {
    ".csv": separated(","),
    ".tsv": separated("\t"),
    ".json": TableFormat("json", partial(read_objects, is_lines=False)),
    ".jsonl": TableFormat("json", partial(read_objects, is_lines=True), "lines"),
    ".parquet": TableFormat("parquet", read_parquet),
}


def format_of(path: str | Path) -> TableFormat:
    """Returns the format of a table.

    Raises:
        DataError: the ending is unknown.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() not in PACKED_ENDINGS]
    found = TABLE_FORMATS.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise DataError(
            f"{path} is of no known format; known are: {', '.join(TABLE_FORMATS)}, plain or {'/'.join(PACKED_ENDINGS)}."
        )
    return found
