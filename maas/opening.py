"""Opening a model by folder or by address."""

from pathlib import Path

from maas.errors import RegistryError
from maas.runtime.bundle import Bundle

ADDRESS = "models:/"


def load(address: str | Path, tracking_uri: str | None = None) -> Bundle:
    """Opens a bundle.

    Args:
        address: a bundle's folder, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        tracking_uri: of the registry, instead of `MLFLOW_TRACKING_URI` or `sqlite:///mlflow.db`.

    Raises:
        BundleError: the folder is no bundle.
        RegistryError: there is no such version, or mlflow is not installed.

    Example:
        >>> load("models:/sentiment_zh@champion").predict(["很好"])  # doctest: +SKIP
    """
    if not str(address).startswith(ADDRESS):
        return Bundle.open(address)
    try:
        from maas.registry.connection import default_tracking_uri  # noqa: PLC0415 - mlflow takes seconds to import
        from maas.registry.versions import resolve  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"{address} needs mlflow, which is not installed. Install maas with it: pip install '.[registry]'"
        ) from error
    folder, _ = resolve(str(address), tracking_uri or default_tracking_uri())
    return Bundle.open(folder)
