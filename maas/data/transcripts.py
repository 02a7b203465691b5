"""Sounds with what is said in them: a table that names their files, or a folder with a text beside each sound.

Rows are paths; what is inside a sound is read by the recipe's processor, in training as in serving.
"""

from collections.abc import Sequence
from pathlib import Path

from maas.bounds import ExistingPath
from maas.data.cells import ONLY_EMPTY
from maas.data.folders import folders_by_split
from maas.data.media_files import SOUNDS, files_below, require_readable
from maas.data.sheets import require_columns
from maas.data.sources import Name, read_file, reading_of
from maas.data.symbols import clean_text
from maas.data.tables import Table, Tables
from maas.errors import DataError

TEXT_SUFFIX = ".txt"


def audio_texts(
    path: ExistingPath,
    audio: Name = "audio",
    text: Name = "text",
    test_path: ExistingPath | None = None,
) -> Tables:
    """Reads sounds and their transcripts.

    A table (CSV, TSV, JSON lines or Parquet) has a column of files, relative to the table's folder, and one of texts.
    In a folder, or in folders train, validation and test below it, a sound NAME.wav has its text in NAME.txt. Texts are
    brought to NFC, with single blanks between words; rows without any are left out later.

    Args:
        path: the table, or the folder.
        audio: column of files; not looked at in a folder.
        text: column of texts; likewise.
        test_path: a second table, or folder, that holds the test split.

    Raises:
        DataError: the table lacks a column, a sound lacks its text, there is no sound, or a file cannot be read.
    """
    tables = _read(Path(path), str(audio), str(text))
    if test_path is None:
        return tables
    held_out = _read(Path(test_path), str(audio), str(text))
    if list(held_out) != ["all"]:
        raise DataError(f"{test_path} holds the folders of splits; data.source.test_path must be of one split.")
    train = {("train" if split == "all" else split): table for split, table in tables.items()}
    if "test" in train:
        raise DataError(f"{path} holds a test split, and so does data.source.test_path. Leave one of them out.")
    return {**train, "test": held_out["all"]}


def _read(path: Path, audio: str, text: str) -> Tables:
    if path.is_dir():
        return {split: _of_folder(folder) for split, folder in folders_by_split(path).items()}
    return {"all": _of_table(path, audio, text)}


def _of_table(path: Path, audio: str, text: str) -> Table:
    sheet = read_file(path, reading_of((), (), (), ONLY_EMPTY))
    require_columns([audio, text], sheet.names, str(path), "Set data.source.audio and data.source.text.")
    files: Sequence[str | None] = sheet.labels(audio)[:]
    texts: Sequence[str | None] = sheet.labels(text)[:]
    sounds = [None if file is None else require_readable(path.parent / file) for file in files]
    return {"input": sounds, "label": list(map(clean_text, texts))}


def _of_folder(folder: Path) -> Table:
    sounds = [file for file in files_below(folder) if file.suffix.lower() in SOUNDS]
    if not sounds:
        raise DataError(
            f"{folder} holds no file of {'/'.join(SOUNDS)}. Put sounds into it, a NAME.txt beside NAME.wav."
        )
    return {"input": list(map(require_readable, sounds)), "label": list(map(_text_beside, sounds))}


def _text_beside(sound: Path) -> str | None:
    """Returns what is said in a sound; None where that is nothing.

    Raises:
        DataError: there is no text beside it, or it is not UTF-8.
    """
    file = sound.with_suffix(TEXT_SUFFIX)
    try:
        return clean_text(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise DataError(f"{file}, the text of {sound.name}, cannot be read: {reason}. Write it as UTF-8.") from error
