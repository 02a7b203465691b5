"""Reading JSON; and writing so that a killed process leaves the old artifact or the new one, never half of one.

What writes is imported when it is first used: a server only reads.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from maas.errors import one_line
from maas.later import imported_later

if TYPE_CHECKING:
    from maas.files.drafts import draft_of, process_writing
    from maas.files.writing import folder_published_whole, lock_alone, replace_folder, write_atomically, write_json

_PLACES = {
    "draft_of": "maas.files.drafts",
    "folder_published_whole": "maas.files.writing",
    "lock_alone": "maas.files.writing",
    "process_writing": "maas.files.drafts",
    "replace_folder": "maas.files.writing",
    "write_atomically": "maas.files.writing",
    "write_json": "maas.files.writing",
}
__all__ = [
    "cache_folder",
    "draft_of",
    "folder_published_whole",
    "lock_alone",
    "process_writing",
    "read_json",
    "replace_folder",
    "sha256_of",
    "write_atomically",
    "write_json",
]

_T = TypeVar("_T")
__getattr__ = imported_later(__name__, _PLACES)


def cache_folder(*names: str) -> Path:
    """Returns the place of what can be made again but takes long: below `MAAS_CACHE`, or `~/.cache/maas`.

    Args:
        names: of the folders inside, which need not exist.
    """
    root = os.environ.get("MAAS_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "maas").joinpath(*names)


def sha256_of(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, kind: type[_T], today: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None) -> _T:
    """Reads a JSON file.

    Args:
        path: of the file.
        kind: what it holds.
        today: returns a JSON object of any known version as one of today's.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it does not hold what it should; one line says where.
    """
    content = path.read_bytes()
    try:
        if today is None:
            return msgspec.json.decode(content, type=kind)
        return msgspec.convert(today(msgspec.json.decode(content, type=dict[str, Any])), kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(one_line(error)) from error
