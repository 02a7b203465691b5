"""Writing so that a killed process leaves the old artifact or the new one, never half of one."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from maas.errors import ConfigError
from maas.files.drafts import draft_of, remove, remove_ended

if sys.platform != "win32":
    import fcntl


def write_json(path: Path, content: object) -> None:
    """Writes a struct or plain values as indented JSON."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def lock_alone(file: BinaryIO, out: Path) -> None:
    """Keeps other processes from writing the same file, until this one closes it.

    Args:
        file: open file that holds what is unfinished.
        out: what it becomes, for the message.

    Raises:
        ConfigError: one does.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(f"Another process writes {out} now. Wait for it, or name another file.") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` beside `path`, then renames it into place."""
    draft = draft_of(path)
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def folder_published_whole(folder: Path, *, is_new: bool = False) -> Iterator[Path]:
    """Yields an empty draft folder that takes `folder`'s place when the block ends well.

    An exception removes the draft and leaves what stood at `folder` untouched. Of several that are written at once,
    the last to end stays.

    Args:
        folder: to write.
        is_new: whether nothing may stand there when the block ends.

    Raises:
        ConfigError: something does.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_ended(folder)
    remove(folder.with_name(f"{folder.name}.partial"))  # an earlier version's
    with _alone_in(folder.parent):
        _undo_half_replaced(folder)
    draft = draft_of(folder)
    draft.mkdir()
    try:
        yield draft
        replace_folder(draft, folder, is_new=is_new)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def replace_folder(draft: Path, folder: Path, *, is_new: bool = False) -> None:
    """Moves `draft` to `folder`; an older folder there is moved aside first and then removed.

    Args:
        draft: the new one, beside it.
        folder: the old one.
        is_new: whether there must be no old one.

    Raises:
        ConfigError: there is one.
    """
    for file in draft.rglob("*"):
        if file.is_file():
            _sync(file)
    aside = _aside(folder)
    with _alone_in(folder.parent):
        _undo_half_replaced(folder)
        if is_new and folder.exists():
            raise ConfigError(f"{folder} was written by another process in the meantime. Name another folder.")
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


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes from publishing in a folder, for the moment that renaming takes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform != "win32":
            with suppress(OSError):  # some network file systems lock no folders
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
