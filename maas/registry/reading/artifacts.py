"""Files of bundles that a tracking server passes on from wherever it keeps them.

Source: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from maas.errors import RegistryError
from maas.registry.reading.tracking_server import TrackingServer

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


class _File(msgspec.Struct):
    path: str
    is_dir: bool = False


class _FilesReply(msgspec.Struct):
    files: list[_File] = []


def is_passed_on(location: str) -> bool:
    """Whether a tracking server passes on the files at a location."""
    scheme = urlsplit(location).scheme
    return scheme == "mlflow-artifacts" or (scheme in ("http", "https") and PROXY in location)


def served_address(location: str, root: str) -> str:
    """Returns the address at which a server passes on what lies at a location.

    Args:
        location: `mlflow-artifacts:/PATH`, `mlflow-artifacts://HOST/PATH`, or an address of a server's own.
        root: address of the tracking server.
    """
    parts = urlsplit(location)
    if parts.scheme != "mlflow-artifacts":
        return location
    server = f"{urlsplit(root).scheme}://{parts.netloc}" if parts.netloc else root
    return f"{server}{PROXY}/{parts.path.strip('/')}"


class ServedFiles:
    """The files of one bundle.

    Args:
        location: address of their folder at the server.
        server: passes them on.
    """

    def __init__(self, location: str, server: TrackingServer) -> None:
        self.location = location
        self._base, _, self._path = location.partition(PROXY)
        self._server = server

    def names(self) -> set[str]:
        """Returns the names of the files and folders at the top."""
        return {PurePosixPath(one.path).name for one in self._listed("")}

    def save(self, name: str, folder: Path) -> Path:
        """Saves one file, and returns its path."""
        path = folder / name
        with self._server.opened(f"{self._base}{PROXY}/{quote(self._inside(name))}") as source, path.open("wb") as file:
            shutil.copyfileobj(source, file)
        return path

    def save_all(self, folder: Path) -> None:
        """Saves all files in a folder, as they lie there."""
        self._save_below("", folder)

    def _save_below(self, below: str, folder: Path) -> None:
        for one in self._listed(below):
            name = PurePosixPath(one.path).name
            if name in ("", ".", ".."):
                raise RegistryError(f"{self.location} holds a file that is named {one.path!r}.")
            inside = f"{below}/{name}".lstrip("/")
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            if one.is_dir:
                self._save_below(inside, folder)
            else:
                self.save(inside, folder)

    def _listed(self, below: str) -> list[_File]:
        query = urlencode({"path": self._inside(below)})
        return self._server.read_json(f"{self._base}{PROXY}?{query}", _FilesReply).files

    def _inside(self, name: str) -> str:
        return f"{self._path.strip('/')}/{name}".rstrip("/")
