"""Opening a model by its address. All commands that take a model read the address here.

    runs/NAME/latest/bundle    the folder of a bundle
    models:/NAME@ALIAS         a version in the registry, by its alias
    models:/NAME/VERSION       likewise, by its number
    models:/m-ID               a model that MLflow logged and nobody registered
    FILE.onnx                  an ONNX file, where what is taken need be no bundle

`python -m maas.opening models:/NAME@ALIAS` prints where a version's bundle lies, as JSON: a process that must stay
small, such as a server, starts this one instead of importing mlflow.
"""

import subprocess
import sys
from pathlib import Path

import msgspec

from maas.errors import MaasError, RegistryError, one_line
from maas.runtime.bundle import Bundle

REGISTRY_SCHEME = "models:/"


class LocatedModel(msgspec.Struct, frozen=True):
    """A model on this machine.

    Args:
        folder: folder of its bundle.
        name: name in the registry; null for a folder, whose manifest has the name.
        version: version in the registry.
    """

    folder: str
    name: str | None = None
    version: str = "1"


def load(address: str | Path, tracking_uri: str | None = None) -> Bundle:
    """Opens a bundle.

    Args:
        address: a bundle's folder, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        tracking_uri: address of the registry, instead of `MLFLOW_TRACKING_URI` or `sqlite:///mlflow.db`.

    Raises:
        BundleError: the folder is no bundle.
        RegistryError: there is no such version, or mlflow is not installed.

    Example:
        >>> load("models:/sentiment_zh@champion").predict(["很好"])  # doctest: +SKIP
    """
    registered = str(address).startswith(REGISTRY_SCHEME)
    return Bundle.open(_downloaded(str(address), tracking_uri).folder if registered else address)


def load_model(address: str) -> Bundle | Path:
    """Opens a bundle as `load` does; of an ONNX file, returns the path.

    Raises:
        BundleError: the folder is no bundle.
        RegistryError: there is no such version, or mlflow is not installed.
    """
    path = Path(address)
    is_file = not address.startswith(REGISTRY_SCHEME) and (path.suffix == ".onnx" or path.is_file())
    return path if is_file else load(address)


def locate(address: str) -> LocatedModel:
    """Finds a bundle on this machine, without importing mlflow: another process looks in the registry.

    Args:
        address: a bundle's folder, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        RegistryError: there is no such model, or the registry cannot be reached.
    """
    if not address.startswith(REGISTRY_SCHEME):
        return LocatedModel(address)
    command = [sys.executable, "-m", "maas.opening", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}, without a message"]
        expected = done.returncode == 2
        raise RegistryError(lines[-1] if expected else f"{address} could not be resolved: {lines[-1]}")
    try:
        return msgspec.json.decode(done.stdout.strip().rpartition("\n")[2], type=LocatedModel)
    except msgspec.DecodeError as error:
        found = one_line(ValueError(done.stdout))
        raise RegistryError(f"{address} was resolved to {found!r}, which cannot be read: {error}.") from error


def _downloaded(address: str, tracking_uri: str | None) -> LocatedModel:
    try:
        from maas.registry.catalogue.versions import resolve  # noqa: PLC0415 - mlflow takes seconds to import
        from maas.registry.connection import default_tracking_uri  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"{address} needs mlflow, which is not installed. Install maas with it: pip install '.[registry]'"
        ) from error
    folder, version = resolve(address, tracking_uri or default_tracking_uri())
    return LocatedModel(str(folder), version.name, version.version)


def main() -> int:
    """Prints folder, name and version; on failure one line to standard error, and status 2."""
    try:
        found = _downloaded(sys.argv[1], None)
    except MaasError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{msgspec.json.encode(found).decode()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
