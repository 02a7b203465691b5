"""Which file is of which format, by its name, and what reads it."""

import codecs
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maas.data.arrow_writer import Reader
from maas.data.columnar import read_lines, read_parquet
from maas.data.objects import read_objects
from maas.data.separated import MARKED_UTF_8, read_separated
from maas.data.unpacking import PACKED_ENDINGS
from maas.data.workbooks import SheetName, read_workbook
from maas.errors import DataError


@dataclass(frozen=True)
class FileSettings:
    """What of a file's format its name does not say.

    Args:
        encoding: encoding of a text file, as Python names it; None for UTF-8.
        separator: what separates cells; None for a comma in .csv and a tab in .tsv.
        sheet: sheet of a workbook, by its name or its place from 0; None for the first that holds anything.

    Raises:
        DataError: there is no such encoding.
    """

    encoding: str | None = None
    separator: str | None = None
    sheet: SheetName | None = None

    def __post_init__(self) -> None:
        """Requires an encoding that Python knows."""
        try:
            codecs.lookup(self.encoding or MARKED_UTF_8)
        except LookupError as error:
            raise DataError(f"encoding is {self.encoding!r}, which is none. Set e.g. encoding=gb18030.") from error


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


def separated(delimiter: str, encoding: str | None = None) -> TableFormat:
    """Returns the format of values between separators."""
    reader = partial(read_separated, delimiter=delimiter, encoding=encoding or MARKED_UTF_8)
    return TableFormat("csv", reader, delimiter + (encoding or ""))


def objects(encoding: str | None = None, *, is_lines: bool) -> TableFormat:
    """Returns the format of JSON."""
    reader = partial(read_objects, is_lines=is_lines, encoding=encoding or MARKED_UTF_8)
    return TableFormat("json", reader, ("lines" if is_lines else "") + (encoding or ""))


def workbook(sheet: SheetName | None = None) -> TableFormat:
    """Returns the format of Excel's and OpenDocument's workbooks."""
    return TableFormat("a workbook", partial(read_workbook, sheet=sheet), "" if sheet is None else repr(sheet))


TEXT = TableFormat("text", read_lines)
TABLE_FORMATS = {
    ".csv": separated(","),
    ".tsv": separated("\t"),
    ".json": objects(is_lines=False),
    ".jsonl": objects(is_lines=True),
    ".parquet": TableFormat("parquet", read_parquet),
    ".xlsx": workbook(),
    ".xls": workbook(),
    ".xlsb": workbook(),
    ".ods": workbook(),
}
SEPARATED_ENDINGS = {".csv": ",", ".tsv": "\t"}
"""Of files of cells, and what usually separates these."""
OBJECT_ENDINGS = {".json": False, ".jsonl": True}
"""Of JSON, and whether it is one object a line for certain."""
ARCHIVE_ENDINGS = (*PACKED_ENDINGS, ".tar", ".tgz", ".rar", ".7z")
"""Of files that hold others."""
WORKBOOK_ENDINGS = (".xlsx", ".xls", ".xlsb", ".ods")


def format_of(path: str | Path, settings: FileSettings | None = None) -> TableFormat:
    """Returns the format of a table.

    Args:
        path: path of the file.
        settings: what its name does not say.

    Raises:
        DataError: the ending is unknown, or a setting does not apply to it.
    """
    ending = file_ending(path)
    if ending not in TABLE_FORMATS:
        raise DataError(
            f"{path} is of no known format; known are: {', '.join(TABLE_FORMATS)}, plain or "
            f"{'/'.join(PACKED_ENDINGS)}.{_unpacking_advice(path)}"
        )
    if settings is None or settings == FileSettings():
        return TABLE_FORMATS[ending]
    _require_applicable(path, ending, settings)
    if ending in SEPARATED_ENDINGS:
        return separated(settings.separator or SEPARATED_ENDINGS[ending], settings.encoding)
    if ending in OBJECT_ENDINGS:
        return objects(settings.encoding, is_lines=OBJECT_ENDINGS[ending])
    return workbook(settings.sheet)


def file_ending(path: str | Path) -> str:
    """Returns the ending of a file's name in lower case, that of packed files aside; empty where there is none."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() not in PACKED_ENDINGS]
    return suffixes[-1] if suffixes else ""


def _unpacking_advice(path: str | Path) -> str:
    """Returns what to do with an archive whose name does not say what it holds; nothing for other files."""
    is_archive = Path(path).name.lower().endswith(ARCHIVE_ENDINGS)
    return " Unpack it, and name the file or folder that comes out of it." if is_archive else ""


def _require_applicable(path: str | Path, ending: str, settings: FileSettings) -> None:
    applicable = {
        "encoding": ending in SEPARATED_ENDINGS or ending in OBJECT_ENDINGS,
        "separator": ending in SEPARATED_ENDINGS,
        "sheet": ending in WORKBOOK_ENDINGS,
    }
    for name, applies in applicable.items():
        value = getattr(settings, name)
        if value is not None and not applies:
            raise DataError(f"data.source.{name} is {value!r}, and {path} has none. Leave it out.")
