"""Questions about registered versions that change nothing: which version an alias points at, and where it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from maas.errors import AbsentError
from maas.registry.catalogue.versions import require_there, resolve
from maas.registry.connection import brief, connected, registry_errors
from maas.registry.reading.addresses import ABSENT, MODELS, NAMES_AT_ONCE, LocatedModel


def bundle_at(address: str, tracking_uri: str) -> LocatedModel:
    """Finds a bundle by its address.

    Raises:
        RegistryError: there is none, or the registry cannot be read.
    """
    with registry_errors():
        folder, version = resolve(address, tracking_uri)
    return LocatedModel(str(folder), version.name, version.version)


def version_at(tracking_uri: str, name: str, alias: str) -> str:
    """Returns the version that an alias points at.

    Raises:
        AbsentError: there is no such model, or it has no such alias.
        RegistryError: the registry cannot be read.
    """
    address = f"{MODELS}{name}@{alias}"
    with _absent(address):
        return str(_client(address, tracking_uri).get_model_version_by_alias(name, alias).version)


def names_with(tracking_uri: str, alias: str) -> list[str]:
    """Returns the names of all models that have an alias, in the order of the alphabet.

    Raises:
        RegistryError: the registry cannot be read.
    """
    client, found, token = _client(f"{MODELS}*@{alias}", tracking_uri), list[str](), None
    with registry_errors():
        while True:
            page = client.search_registered_models(max_results=NAMES_AT_ONCE, page_token=token)
            found += [str(one.name) for one in page if alias in one.aliases]
            token = page.token
            if not token:
                return sorted(found)


@contextmanager
def _absent(address: str) -> Iterator[None]:
    with registry_errors():
        try:
            yield
        except MlflowException as error:
            if error.error_code in ABSENT:
                raise AbsentError(f"{address} is not there: {brief(error)}.") from error
            raise


def _client(address: str, tracking_uri: str) -> MlflowClient:
    require_there(address, tracking_uri)
    return _connected(tracking_uri)


@lru_cache(maxsize=4)
def _connected(tracking_uri: str) -> MlflowClient:
    return connected(tracking_uri, writing=False)
