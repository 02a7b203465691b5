"""Where the files of a version lie, and having a copy of them on this machine through MLflow."""

from pathlib import Path
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts

from maas.errors import RegistryError
from maas.registry.connection import registry_errors
from maas.registry.copies import copy_of
from maas.registry.reading.addresses import COPIES_FOLLOWED, MODELS


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
        return copy_of(_ArtifactFiles(location, tracking_uri))


class _ArtifactFiles:
    """Files that MLflow downloads.

    Args:
        location: address of their folder.
        tracking_uri: address of the store that it is from.
    """

    def __init__(self, location: str, tracking_uri: str) -> None:
        self.location = location
        self._tracking_uri = tracking_uri

    def names(self) -> set[str]:
        found = list_artifacts(artifact_uri=self.location, tracking_uri=self._tracking_uri)
        return {Path(file.path).name for file in found}

    def save(self, name: str, folder: Path) -> Path:
        return self._downloaded(f"{self.location}/{name}", folder)

    def save_all(self, folder: Path) -> None:
        got = self._downloaded(self.location, folder)
        if got != folder:  # MLflow keeps the last part of the address as a folder
            inside = got.rename(folder / ".inside")
            for file in inside.iterdir():
                file.rename(folder / file.name)
            inside.rmdir()

    def _downloaded(self, address: str, folder: Path) -> Path:
        got = download_artifacts(artifact_uri=address, dst_path=str(folder), tracking_uri=self._tracking_uri)
        return Path(got)
