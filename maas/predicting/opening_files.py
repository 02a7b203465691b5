"""Which rows a file or a folder has for a model, by its name's ending."""

import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zstandard

from maas.data.media_files import SUFFIXES_OF_MODALITY, files_below
from maas.data.unpacking import PACKED_ENDINGS, unpacked
from maas.errors import DataError, one_line
from maas.predicting.blocks import FileRows
from maas.predicting.command import PredictCommand
from maas.predicting.other_rows import FolderRows, LineRows, ObjectRows, ParquetRows
from maas.predicting.separated_rows import SeparatedRows
from maas.predicting.table_writers import OBJECTS, PARQUET
from maas.runtime.bundle import Bundle

DELIMITERS = {".csv": ",", ".tsv": "\t"}
READ_ENDINGS = (*DELIMITERS, ".json", ".jsonl", ".parquet", ".txt")
UNPACKING_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError),
)


@contextmanager
def opened_rows(bundle: Bundle, command: PredictCommand) -> Iterator[FileRows]:
    """Opens the rows that a command names, unpacked for as long as the block runs where they are packed.

    Raises:
        DataError: they are of no format that is known, or the model takes no files.
    """
    if command.source.is_dir():
        yield FolderRows(command.source, _files(bundle, command.source))
        return
    endings = [one.lower() for one in command.source.suffixes]
    packed = endings[-1:] and endings[-1] in PACKED_ENDINGS
    ending = (endings[-2:-1] if packed else endings[-1:]) or [""]
    if ending[0] not in READ_ENDINGS:
        known = f"{', '.join(READ_ENDINGS)}, plain or {'/'.join(PACKED_ENDINGS)}"
        raise DataError(f"{command.source} is of no known format; known are: {known}, and folders of files.")
    with ExitStack() as stack:
        file = command.source
        if packed:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            try:
                file = stack.enter_context(unpacked(command.source, scratch))
            except UNPACKING_ERRORS as error:
                reason = one_line(error)
                raise DataError(f"{command.source} cannot be unpacked: {reason}. Copy it here again.") from error
        yield _rows_of(file, ending[0], bundle, command)


def _rows_of(file: Path, ending: str, bundle: Bundle, command: PredictCommand) -> FileRows:
    if ending in DELIMITERS:
        is_typed = command.ending in (*PARQUET, *OBJECTS)
        return SeparatedRows(file, DELIMITERS[ending], numbers_of_model(bundle) if is_typed else ())
    if ending == ".parquet":
        return ParquetRows(file)
    if ending == ".txt":
        return LineRows(file)
    return ObjectRows(file, is_lines=ending == ".jsonl", is_typed=not command.keeps_objects)


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
