"""Files of rows, read once into Arrow files that are kept in the cache: the next start maps them at once.

Reading goes a batch at a time, whatever the file's size. A JSON file that is one list is the exception: its parser
wants it whole.
"""

import csv
import errno
import hashlib
import json
import logging
import lzma
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import zstandard
from datasets.exceptions import DatasetGenerationError

from maas.data.arrow_writer import ArrowWriter
from maas.data.formats import TableFormat
from maas.data.tables import ArrowRows
from maas.data.unpacking import unpacked
from maas.errors import DataError
from maas.files import cache_folder, folder_published_whole
from maas.files.cache_entries import entry_alone, remove_all_but, remove_unused

log = logging.getLogger("maas")
LAYOUT = 3
"""Of what is kept; rows that an older version of this package has read are read again."""
LONG_BYTES = 64 * 2**20
"""Files from this size on are worth a line."""
PARSER_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, RuntimeError, OverflowError),  # RuntimeError: JSON that is nested too deeply, zip
    *(csv.Error, pa.ArrowException, zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError),
)
"""What the parsers of rows and of packed files raise."""
NOTES, ROWS = "notes.txt", "rows.arrow"


def prepared(path: Path, format_: TableFormat) -> list[ArrowRows]:
    """Returns the rows of a file, plain or packed.

    The cache keeps what was made of the file as it is now, and nothing of what it was. A killed process leaves nothing
    that counts. Rows of other files go once nobody has opened them for `KEPT_S` seconds, whether or not the file can be
    seen at that moment.

    Args:
        path: the file.
        format_: format of the file.

    Raises:
        DataError: the file cannot be read, or there is no room for its rows.
    """
    folder = _place(path, format_)
    try:
        with entry_alone(folder.parent):
            if not folder.is_dir():
                _prepare(path, format_, folder)
                remove_all_but(folder)
            notes = (folder / NOTES).read_text(encoding="utf-8").splitlines()
            rows = [ArrowRows.open(folder / ROWS)]
        remove_unused(folder.parent.parent)
    except OSError as error:
        raise _no_room(path, folder) if error.errno == errno.ENOSPC else DataError(f"{folder}: {error}") from error
    for note in notes:
        log.warning("data      %s: %s", path, note)
    return rows


def _place(path: Path, format_: TableFormat) -> Path:
    """Returns the folder of a file's rows; its parent is the file's own, and its name holds what the rows depend on."""
    status = path.stat()
    content = [status.st_size, status.st_mtime_ns, format_.name, format_.detail, LAYOUT]
    named = (str(path.resolve()), json.dumps(content))
    return cache_folder("tables", *(hashlib.sha256(name.encode()).hexdigest()[:32] for name in named))


def _prepare(path: Path, format_: TableFormat, folder: Path) -> None:
    size = path.stat().st_size
    if size > LONG_BYTES:
        log.info("data      reading %s, %.1f GB, once", path, size / 1e9)
    if size == 0:
        raise DataError(f"{path} cannot be read as {format_.name}: it is empty.")
    with folder_published_whole(folder) as made:
        try:
            writer = ArrowWriter(made / ROWS)
            with unpacked(path, made) as file:
                format_.read(file, writer)
            writer.close()
        except PARSER_ERRORS as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise _no_room(path, folder) from error
            advice = ". Save it as UTF-8, or set data.source.encoding." if isinstance(error, UnicodeDecodeError) else ""
            raise DataError(f"{path} cannot be read as {format_.name}: {first_message_line(error)}{advice}") from error
        if _place(path, format_) != folder:
            raise DataError(f"{path} has changed while it was read. Start again when it is complete.")
        (made / NOTES).write_text("\n".join(writer.notes), encoding="utf-8")


def _no_room(path: Path, folder: Path) -> DataError:
    return DataError(
        f"There is no room for the rows of {path} in {folder.parent}. They take about as many bytes as the file does "
        "when it is not compressed. Make room there, or set MAAS_CACHE to a folder on another disk."
    )


def parser_reason(error: Exception) -> str:
    """Returns a parser's message as one line; datasets wraps it and reports only that there was an error."""
    is_wrapped = error.__cause__ is not None and isinstance(error, DatasetGenerationError)
    return first_message_line(error.__cause__ if is_wrapped and error.__cause__ else error)


def first_message_line(error: BaseException) -> str:
    """Returns the first line of another library's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
