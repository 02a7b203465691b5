"""Data as it is given, looked at as a whole: a file, a folder, a frame, or a data set of the Hugging Face hub."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from maas.data.cells import MISSING, UNCODED_PATTERN, ColumnReading, DecimalMark, with_decimal
from maas.data.encodings import encoding_of, require_encoding, separator_of
from maas.data.formats import OBJECT_ENDINGS, SEPARATED_ENDINGS, WORKBOOK_ENDINGS, FileSettings, file_ending, format_of
from maas.data.frames import arrow_rows_of_frame
from maas.data.hub import loaded
from maas.data.preparing import PARSER_ERRORS, first_message_line, prepared
from maas.data.sheets import Sheet
from maas.data.unpacking import unpacked
from maas.data.workbooks import SheetName, sheet_names
from maas.errors import DataError
from maas.inspecting.columns import described_column, number_reading
from maas.inspecting.description import ColumnDescription, DataDescription, FileReading
from maas.inspecting.folders import inspect_folder
from maas.suggesting import nearest_name

FRAME = "the frame"
NOTHING_WORDS = ("N/A", "n/a", "#N/A", "NULL", "None", "none", "-", "--", "?", ".", "无", "缺失", "未知")
"""Words that stand for nothing where all other cells of their column are numbers."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
REMOTE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://")
"""What the address of a file on another machine begins with."""


def inspect_data(
    source: str | Path | pd.DataFrame,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: DecimalMark | None = None,
    sheet: SheetName | None = None,
) -> DataDescription:
    """Returns what data holds, by all of its rows.

    Args:
        source: a table's file, a folder of pictures or sounds by label, a frame, or OWNER/NAME at the hub.
        encoding: encoding of a text file; None detects UTF-8, UTF-16, GB18030 and Windows-1252.
        separator: what separates cells; None detects it.
        decimal: what comes before the fraction of a number; None detects it.
        sheet: sheet of a workbook, by its name or its place from 0; None takes the first that holds anything.

    Raises:
        DataError: there is no such data, or it cannot be read.
    """
    if isinstance(source, pd.DataFrame):
        return _described(Sheet([arrow_rows_of_frame(source, FRAME)], FRAME, ColumnReading()), FRAME, FileReading())
    path = Path(source).expanduser()
    if path.is_dir():
        return inspect_folder(path)
    if path.is_file():
        return _file(path, FileReading(encoding, separator, decimal or ".", sheet), detects_decimal=decimal is None)
    if HUB_ID.fullmatch(str(source)) and not path.suffix:
        return _hub(str(source))
    raise DataError(_absent(source))


def _file(path: Path, reading: FileReading, *, detects_decimal: bool) -> DataDescription:
    if not path.stat().st_size:
        raise DataError(f"{path} is empty. Name a file that holds rows.")
    format_of(path)
    reading = _detected(path, reading)
    settings = FileSettings(reading.encoding, reading.separator, reading.sheet)
    parts = prepared(path, format_of(path, settings))
    sheet = Sheet(parts, str(path), ColumnReading(decimal=reading.decimal))
    if not sum(map(len, parts)):
        raise DataError(f"{path} names {len(sheet.names)} columns and holds no rows. Name a file that holds rows.")
    if detects_decimal and reading.separator not in (None, ",") and _has_decimal_commas(sheet):
        reading = replace(reading, decimal=",")
        sheet = Sheet(parts, str(path), ColumnReading(decimal=","))
    if missing := _missing_words(sheet, reading.decimal):
        reading = replace(reading, missing=missing)
        sheet = Sheet(parts, str(path), ColumnReading(missing=(*MISSING, *missing), decimal=reading.decimal))
    return _described(sheet, str(path), reading)


def _detected(path: Path, reading: FileReading) -> FileReading:
    """Returns a reading with what the file shows, where it was not set."""
    ending = file_ending(path)
    try:
        with tempfile.TemporaryDirectory() as folder, unpacked(path, Path(folder)) as file:
            if ending in WORKBOOK_ENDINGS:
                sheets = tuple(sheet_names(file))
                return replace(reading, sheets=sheets, sheet=_sheet(reading.sheet, sheets))
            if ending not in SEPARATED_ENDINGS and ending not in OBJECT_ENDINGS:
                return reading
            if encoding := FileSettings(reading.encoding).encoding:
                require_encoding(file, encoding)
            encoding = encoding or encoding_of(file)
            separator = reading.separator
            if ending in SEPARATED_ENDINGS and separator is None:
                separator = separator_of(file, encoding)
    except PARSER_ERRORS as error:
        raise DataError(f"{path} cannot be unpacked: {first_message_line(error)}.") from error
    except DataError as error:  # which names the unpacked file
        raise DataError(str(error).replace(str(file), str(path))) from error
    return replace(reading, encoding=encoding, separator=separator)


def _sheet(sheet: SheetName | None, sheets: Sequence[str]) -> SheetName | None:
    """Returns a sheet as it was named, or its place where a command line named that."""
    is_place = isinstance(sheet, str) and sheet.isdecimal() and sheet not in sheets
    return int(str(sheet)) if is_place else sheet


def _has_decimal_commas(sheet: Sheet) -> bool:
    """Returns whether a column holds numbers with commas before their fractions, and none has points there."""
    comma = re.compile(with_decimal(UNCODED_PATTERN, ",")).fullmatch
    found = False
    for texts in _texts(sheet):
        numbers = [text for text in texts if text not in NOTHING_WORDS]
        if all(map(comma, numbers)) and any("," in text for text in numbers):
            found = True
    return found and not any(map(_has_fractions, _columns(sheet)))


def _missing_words(sheet: Sheet, decimal: DecimalMark) -> tuple[str, ...]:
    """Returns the words that keep columns of texts from being numbers, and stand for nothing."""
    found = (number_reading(texts, NOTHING_WORDS, decimal) or () for texts in _texts(sheet))
    return tuple(dict.fromkeys(word for words in found for word in words))


def _texts(sheet: Sheet) -> Iterator[list[str]]:
    """Yields the different texts of each column that holds texts, numbers among them written as such."""
    for values in _columns(sheet):
        if any(type(value) is str for value in values):
            yield [str(value) for value in values]


def _columns(sheet: Sheet) -> Iterator[list[object]]:
    """Yields the different values of each column that rows can hold."""
    for name in sheet.names:
        try:
            yield list(dict.fromkeys(value for value in sheet.column(name)[:] if value is not None))
        except (DataError, TypeError):
            continue


def _has_fractions(values: Sequence[object]) -> bool:
    return any(isinstance(value, float) and not value.is_integer() for value in values)


def _hub(name: str) -> DataDescription:
    try:
        tables = loaded(name)
    except DataError as error:
        raise DataError(f"There is no file or folder {name} here. {error}") from error
    parts = [part for split in tables.values() for part in split]
    return replace(_described(Sheet(parts, name, ColumnReading()), name, FileReading()), hub=True)


def _described(sheet: Sheet, origin: str, reading: FileReading) -> DataDescription:
    columns = tuple(_column(sheet, name) for name in sheet.names)
    return DataDescription(origin, "table", sum(map(len, sheet.parts)), columns, reading, table=sheet)


def _column(sheet: Sheet, name: str) -> ColumnDescription:
    rows = sum(map(len, sheet.parts))
    try:
        values = sheet.column(name)[:]
        if not any(isinstance(value, bytes | list | dict | Path) for value in values):
            return described_column(name, values)
    except DataError:
        pass
    return ColumnDescription(name, "other", rows, 0, rows, reason="it holds what no row can, such as lists or files")


def _absent(source: str | Path) -> str:
    if address := REMOTE.match(str(source)):
        return f"{source} is on another machine ({address['scheme']}). Download it, and name the file."
    path = Path(source)
    folder = path.parent if path.parent.is_dir() else Path()
    near = nearest_name(path.name, sorted(one.name for one in folder.iterdir()))
    advice = f"did you mean {folder / near}?" if near else "Name a file, a folder, or OWNER/NAME at the hub."
    return f"There is no file or folder {path}; {advice}" if near else f"There is no file or folder {path}. {advice}"
