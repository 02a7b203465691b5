"""Opening a model by its address. All commands that take a model read the address here.

    runs/NAME/latest/bundle    the folder of a bundle
    models:/NAME@ALIAS         a version in the registry, by its alias
    models:/NAME/VERSION       likewise, by its number
    models:/m-ID               a model that MLflow logged and nobody registered
    FILE.onnx                  an ONNX file, where what is taken need be no bundle

A process that must stay small, such as a server, reads the registry by `maas.registry.reading` instead.
"""

import os
from pathlib import Path

from maas.errors import BundleError, RegistryError
from maas.registry.reading.addresses import MODELS, default_tracking_uri, is_server
from maas.registry.reading.rest import RestRegistry
from maas.runtime.bundle import Bundle


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
    if not isinstance(address, str | Path):
        raise BundleError(
            f"maas.load was given a {type(address).__name__}; it takes a bundle's folder, models:/NAME@ALIAS or "
            "models:/NAME/VERSION."
        )
    registered = str(address).startswith(MODELS)
    return Bundle.open(_downloaded(str(address), tracking_uri or default_tracking_uri()) if registered else address)


def load_model(address: str) -> Bundle | Path:
    """Opens a bundle as `load` does; of an ONNX file, returns the path.

    Raises:
        BundleError: the folder is no bundle.
        RegistryError: there is no such version, or mlflow is not installed.
    """
    path = Path(address)
    is_file = not address.startswith(MODELS) and (path.suffix == ".onnx" or path.is_file())
    return path if is_file else load(address)


def _downloaded(address: str, tracking_uri: str) -> str:
    """Returns the folder of a registered bundle."""
    try:
        from maas.registry.catalogue.versions import resolve  # noqa: PLC0415 - mlflow takes seconds to import
    except ModuleNotFoundError as error:
        if is_server(tracking_uri):
            return RestRegistry(tracking_uri, os.environ).locate(address).folder
        raise RegistryError(
            f"{address} needs mlflow, which is not installed. Install maas with it: pip install '.[registry]'"
        ) from error
    return str(resolve(address, tracking_uri)[0])
