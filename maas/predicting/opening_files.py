"""Which rows a file or a folder has for a model, by its name's ending."""

import codecs
import csv
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import zstandard

from maas.data.cells import NUMBER_PATTERN, DecimalMark, is_number, with_decimal
from maas.data.encodings import encoding_of, require_encoding, separator_of
from maas.data.formats import (
    OBJECT_ENDINGS,
    SEPARATED_ENDINGS,
    TABLE_FORMATS,
    WORKBOOK_ENDINGS,
    FileSettings,
    file_ending,
)
from maas.data.media_files import SUFFIXES_OF_MODALITY, files_below
from maas.data.unpacking import PACKED_ENDINGS, unpacked
from maas.errors import DataError, one_line
from maas.predicting.blocks import FileRows
from maas.predicting.command import PredictCommand
from maas.predicting.other_rows import FolderRows, LineRows, ObjectRows, ParquetRows, WorkbookRows
from maas.predicting.separated_rows import SeparatedRows, any_length
from maas.predicting.table_writers import OBJECTS, PARQUET
from maas.runtime.bundle import Bundle

READ_ENDINGS = (*TABLE_FORMATS, ".txt")
SEPARATORS_BY_NAME = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
ROWS_LOOKED_AT = 1000
UNPACKING_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError),
)


@contextmanager
def opened_rows(bundle: Bundle, command: PredictCommand) -> Iterator[FileRows]:
    """Opens the rows that a command names, unpacked and in UTF-8 for as long as the block runs where they are not.

    Raises:
        DataError: they are of no format that is known, or the model takes no files.
    """
    if command.source.is_dir():
        yield FolderRows(command.source, _files(bundle, command.source))
        return
    ending = file_ending(command.source)
    if ending not in READ_ENDINGS:
        known = f"{', '.join(READ_ENDINGS)}, plain or {'/'.join(PACKED_ENDINGS)}"
        raise DataError(f"{command.source} is of no known format; known are: {known}, and folders of files.")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            file = stack.enter_context(unpacked(command.source, scratch))
        except UNPACKING_ERRORS as error:
            reason = one_line(error)
            raise DataError(f"{command.source} cannot be unpacked: {reason}. Copy it here again.") from error
        yield _rows_of(file, ending, bundle, command, scratch)


def _rows_of(file: Path, ending: str, bundle: Bundle, command: PredictCommand, scratch: Path) -> FileRows:
    if ending in WORKBOOK_ENDINGS:
        sheet = command.options.sheet
        return WorkbookRows(file, int(sheet) if sheet and sheet.isdecimal() else sheet, scratch)
    if ending == ".parquet":
        return ParquetRows(file)
    file = _in_utf_8(file, command, scratch)
    if ending in SEPARATED_ENDINGS:
        return _separated(file, bundle, command)
    if ending == ".txt":
        return LineRows(file)
    return ObjectRows(file, is_lines=OBJECT_ENDINGS[ending], is_typed=not command.keeps_objects)


def _in_utf_8(file: Path, command: PredictCommand, scratch: Path) -> Path:
    """Returns a file of text in UTF-8: itself, or what is written of it.

    Raises:
        DataError: its encoding is not known, or not the one that is set.
    """
    if encoding := FileSettings(command.options.encoding).encoding:
        require_encoding(file, encoding)
    encoding = encoding or encoding_of(file)
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return file
    written = scratch / "rows"
    try:
        with file.open(encoding=encoding, newline="") as read, written.open("w", encoding="utf-8", newline="") as out:
            shutil.copyfileobj(read, out)
    except UnicodeError as error:
        raise DataError(
            f"{command.source} is no text in {encoding}: {one_line(error)}. Set another encoding."
        ) from error
    return written


def _separated(file: Path, bundle: Bundle, command: PredictCommand) -> SeparatedRows:
    named = command.options.separator
    separator = separator_of(file, "utf-8-sig") if named is None else SEPARATORS_BY_NAME[named]
    numbers = numbers_of_model(bundle)
    decimal = command.options.decimal or _decimal_of(file, separator, numbers)
    is_typed = command.ending in (*PARQUET, *OBJECTS)
    return SeparatedRows(file, separator, numbers if is_typed else (), decimal)


def _decimal_of(file: Path, separator: str, numbers: Sequence[str]) -> DecimalMark:
    """Returns what comes before fractions in columns of numbers, by the first rows of a file."""
    if separator == ",":
        return "."
    with file.open(encoding="utf-8-sig", newline="") as lines, any_length():
        rows = list(islice(csv.DictReader(lines, delimiter=separator), ROWS_LOOKED_AT))
    texts = [text for row in rows for name in numbers if isinstance(text := row.get(name), str)]
    comma = re.compile(with_decimal(NUMBER_PATTERN, ",")).fullmatch
    has_commas = any("," in text and comma(text) for text in texts)
    has_points = any("." in text and is_number(text) for text in texts)
    return "," if has_commas and not has_points else "."


def reads_columns(bundle: Bundle) -> bool:
    """Whether a row of a model is an object by column."""
    return not bundle.is_generative and "properties" in bundle.predictor.processor.row_schema


def numbers_of_model(bundle: Bundle) -> Sequence[str]:
    """Returns the columns that a model takes numbers of; none where it reads no columns."""
    if not reads_columns(bundle):
        return ()
    return [spec.name for spec in bundle.predictor.processor.input_specs if spec.datatype != "BYTES"]


def _files(bundle: Bundle, folder: Path) -> list[Path]:
    modality = "text" if bundle.is_generative else bundle.predictor.processor.modality
    suffixes = SUFFIXES_OF_MODALITY.get(modality)
    if suffixes is None:
        raise DataError(f"{folder} is a folder, and the model reads no pictures or sounds. Name a table or a file.")
    files = [file for file in files_below(folder) if file.suffix.lower() in suffixes]
    if not files:
        raise DataError(f"{folder} holds no file of {'/'.join(suffixes)}.")
    return files
