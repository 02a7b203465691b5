"""Files of pictures and sounds on disk: which endings count, and what lies below a folder. Nothing here opens one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from maas.errors import DataError

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
SOUNDS = (".wav", ".flac", ".ogg")
SUFFIXES_OF_MODALITY = {"image": IMAGES, "audio": SOUNDS}


def files_below(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder and in all below it, in the order of their names; hidden ones are passed over.

    Raises:
        DataError: a folder cannot be read.
    """
    for place, folders, names in os.walk(folder, onerror=refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def require_readable(file: Path) -> Path:
    """Returns a file that can be read.

    Raises:
        DataError: it cannot be.
    """
    if not os.access(file, os.R_OK):
        raise DataError(f"{file} cannot be read: its rights or a broken link forbid it. Repair or remove it.")
    return file


def refuse_folder(error: OSError) -> NoReturn:
    """Refuses a folder that cannot be read.

    Raises:
        DataError: naming it.
    """
    raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
