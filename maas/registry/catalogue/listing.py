"""Names, versions and aliases of the models in a registry; nothing there is changed or fetched."""

from collections.abc import Mapping
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel

from maas.registry.connection import connected, registry_errors
from maas.registry.databases import is_sqlite, sqlite_file
from maas.registry.reading.addresses import NAMES_AT_ONCE


class RegisteredNames(NamedTuple):
    """A model of a registry.

    Args:
        name: its name.
        versions: numbers of its versions, the newest first.
        aliases: number of a version by alias.
        changed_s: when it was changed last, in seconds since 1970.
    """

    name: str
    versions: tuple[int, ...]
    aliases: Mapping[str, int]
    changed_s: float


def registered_models(tracking_uri: str) -> list[RegisteredNames]:
    """Returns the models of a registry by name; none where its local database is not there yet.

    Args:
        tracking_uri: address of the registry.

    Raises:
        RegistryError: it cannot be reached.
    """
    path = sqlite_file(tracking_uri) if is_sqlite(tracking_uri) else None
    if path is not None and not path.exists():
        return []
    client = connected(tracking_uri, writing=False)
    found: list[RegisteredNames] = []
    token = None
    with registry_errors():
        while token != "":
            page = client.search_registered_models(max_results=NAMES_AT_ONCE, page_token=token)
            found += [_named(model, _versions(client, model.name)) for model in page]
            token = page.token or ""
    return sorted(found)


def _versions(client: MlflowClient, name: str) -> tuple[int, ...]:
    versions = client.search_model_versions(f"name = '{name}'")
    return tuple(sorted((int(one.version) for one in versions), reverse=True))


def _named(model: RegisteredModel, versions: tuple[int, ...]) -> RegisteredNames:
    aliases = {str(alias): int(version) for alias, version in model.aliases.items()}
    return RegisteredNames(str(model.name), versions, aliases, model.last_updated_timestamp / 1000)
