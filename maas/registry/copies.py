"""Copies of registered bundles on this machine: one of each, however often it is requested.

Copies lie in maas's cache by the digest of what they say of themselves: `manifest.json` and `evidence.json`, which name
the digests of all else. The least recently used ones make room for new ones.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from maas.errors import BundleError, RegistryError
from maas.files import cache_folder, folder_published_whole
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import EVIDENCE, MANIFEST

COPIES_KEPT = 16
"""The most copies in the cache, but for those of the last hour."""
IN_USE_S = 3600.0
"""Seconds for which a copy may still be being opened after it was requested."""


class BundleFiles(Protocol):
    """The files of a bundle where they are kept."""

    location: str

    def names(self) -> set[str]:
        """Returns the names of the files and folders at the top."""

    def save(self, name: str, folder: Path) -> Path:
        """Saves one file of the top in a folder, and returns its path."""

    def save_all(self, folder: Path) -> None:
        """Saves all files in a folder, as they lie there."""


def copy_of(files: BundleFiles) -> Path:
    """Returns the folder of a copy of a bundle, made if need be.

    Raises:
        RegistryError: they are not a bundle's files.
    """
    entry = cache_folder("bundles", _digest(files))
    folder = entry / "files"
    with _alone(entry):
        if not _is_whole(folder):
            _make_room(entry)
            with folder_published_whole(folder) as draft:
                files.save_all(draft)
    return folder


def keep_copy(folder: Path) -> None:
    """Notes that a folder is in use, if it is a copy; what is noted within `IN_USE_S` makes no room for others."""
    if folder.parent.parent == cache_folder("bundles"):
        with contextlib.suppress(OSError):  # the cache may be read-only, or another process's
            os.utime(folder.parent)


def _digest(files: BundleFiles) -> str:
    """Returns the SHA-256 of the two small files that name all others."""
    there = files.names()
    if MANIFEST not in there:
        raise RegistryError(f"{files.location} holds no {MANIFEST}: it is no bundle of maas. Open it with MLflow.")
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted({MANIFEST, EVIDENCE} & there):
            digest.update(files.save(name, Path(scratch)).read_bytes())
    return digest.hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        Bundle.open(folder)
    except BundleError:  # not there, or damaged since
        return False
    return True


def _make_room(entry: Path) -> None:
    """Removes the least recently used copies; what two processes remove at once is removed once."""
    others = [path for path in entry.parent.iterdir() if path.is_dir() and path != entry]
    oldest = sorted(others, key=lambda path: path.stat().st_mtime)
    for path in oldest[: max(0, len(oldest) + 1 - COPIES_KEPT)]:
        if time.time() - path.stat().st_mtime > IN_USE_S:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _alone(entry: Path) -> Iterator[None]:
    """Waits until no other process makes the same copy, and notes that it was requested."""
    entry.mkdir(parents=True, exist_ok=True)
    with (entry / "lock").open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        os.utime(entry)
        yield
