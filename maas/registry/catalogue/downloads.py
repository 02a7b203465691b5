"""Where the files of a version lie, and a copy of them on this machine: one, however often it is requested.

Copies lie in maas's cache by the digest of what they say of themselves: `manifest.json` and `evidence.json`, which name
the digests of all else. The least recently used ones make room for new ones.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts

from maas.errors import BundleError, RegistryError
from maas.files import cache_folder, folder_published_whole
from maas.registry.connection import registry_errors
from maas.runtime.bundle import EVIDENCE, MANIFEST, Bundle

MODELS = "models:/"
COPIES_KEPT = 16
"""The most copies in the cache, but for those of the last hour."""
IN_USE_S = 3600.0
"""Seconds for which a copy may still be being opened after it was requested."""
COPIES_FOLLOWED = 16
"""The most copies of copies that are followed."""


def location_of(client: MlflowClient, address: str) -> str:
    """Follows a version to where its files lie: a copied version to its source, a logged model to its artifacts.

    MLflow itself follows both in its default store, whatever store was named.

    Args:
        client: client of the store that holds all of them.
        address: `models:/NAME/VERSION` or `models:/m-ID`.

    Raises:
        RegistryError: they lead in a circle.
        MlflowException: one of them is not there.
    """
    location = address
    for _ in range(COPIES_FOLLOWED):
        if not location.startswith(MODELS):
            return location
        name, _, version = location.removeprefix(MODELS).rpartition("/")
        if name:
            location = str(client.get_model_version_download_uri(name, version))
        else:
            location = str(client.get_logged_model(version).artifact_location)
    raise RegistryError(f"{address} is a copy of a copy, {COPIES_FOLLOWED} times over; register its bundle again.")


def fetched(location: str, tracking_uri: str) -> Path:
    """Returns a local folder with a bundle's files: where they lie, or the copy in the cache, made if need be.

    Args:
        location: address of the files, as `location_of` returns it.
        tracking_uri: address of the store that it is from.

    Raises:
        RegistryError: they cannot be had.
    """
    with registry_errors():
        if urlsplit(location).scheme in ("", "file"):
            return Path(download_artifacts(artifact_uri=location, tracking_uri=tracking_uri))
        entry = cache_folder("bundles", _digest(location, tracking_uri))
        folder = entry / "files"
        with _alone(entry):
            if not _is_whole(folder):
                _make_room(entry)
                _download(location, tracking_uri, folder)
        return folder


def _digest(location: str, tracking_uri: str) -> str:
    """Returns the SHA-256 of the two small files that name all others."""
    there = {Path(file.path).name for file in list_artifacts(artifact_uri=location, tracking_uri=tracking_uri)}
    if MANIFEST not in there:
        raise RegistryError(f"{location} holds no {MANIFEST}: it is no bundle of maas. Open it with MLflow.")
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted({MANIFEST, EVIDENCE} & there):
            got = download_artifacts(artifact_uri=f"{location}/{name}", dst_path=scratch, tracking_uri=tracking_uri)
            digest.update(Path(got).read_bytes())
    return digest.hexdigest()


def _download(location: str, tracking_uri: str, folder: Path) -> None:
    with folder_published_whole(folder) as draft:
        got = Path(download_artifacts(artifact_uri=location, dst_path=str(draft), tracking_uri=tracking_uri))
        if got != draft:  # MLflow keeps the last part of the address as a folder
            inside = got.rename(draft / ".inside")
            for file in inside.iterdir():
                file.rename(draft / file.name)
            inside.rmdir()


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
