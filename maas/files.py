"""Writing so that a killed process leaves the old artifact or the new one, never half of one."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` beside `path`, then renames it into place."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@contextmanager
def folder_published_whole(folder: Path) -> Iterator[Path]:
    """Yields an empty draft folder that takes `folder`'s place when the block ends well.

    An exception removes the draft and leaves what stood at `folder` untouched. A draft that a killed process left is
    removed by the next attempt.
    """
    draft = folder.with_name(f"{folder.name}.partial")
    _undo_half_replaced(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        replace_folder(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def replace_folder(draft: Path, folder: Path) -> None:
    """Moves `draft` to `folder`; an older folder there is moved aside first and then removed."""
    for file in draft.rglob("*"):
        if file.is_file():
            _sync(file)
    _undo_half_replaced(folder)
    aside = _aside(folder)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(aside)
        draft.rename(folder)
    except BaseException:
        _undo_half_replaced(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _undo_half_replaced(folder: Path) -> None:
    """Brings back the old folder that a process left aside when it was killed between its two renames."""
    if not folder.exists() and _aside(folder).exists():
        _aside(folder).rename(folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
