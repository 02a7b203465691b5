"""A registered version, and finding it by its address."""

import re
from pathlib import Path

import msgspec
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from maas.errors import AbsentError, RegistryError
from maas.registry.catalogue.downloads import fetched, location_of
from maas.registry.connection import brief, connected, registry_errors
from maas.registry.databases import is_sqlite, sqlite_file
from maas.registry.reading.addresses import ADDRESS, LOGGED, MODELS
from maas.suggesting import hint_of


class ModelVersion(msgspec.Struct, frozen=True):
    """One registered version.

    Args:
        name: name of the model.
        version: number, from 1.
        aliases: names that point at it.
        source: address of its bundle.
        note: what was done about the alias, and why.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    source: str
    note: str = ""

    @property
    def uri(self) -> str:
        """The address by alias if it has one, else by number."""
        return f"models:/{self.name}@{self.aliases[0]}" if self.aliases else f"models:/{self.name}/{self.version}"


def resolve(address: str, tracking_uri: str) -> tuple[Path, ModelVersion]:
    """Finds the bundle at `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `models:/m-ID`; changes nothing there.

    Args:
        address: address of a model.
        tracking_uri: address of the store to look in.

    Returns:
        A local folder, and the version.

    Raises:
        RegistryError: the address is malformed, or there is no such version.
    """
    parts, logged = ADDRESS.fullmatch(address), LOGGED.fullmatch(address)
    if parts is None and logged is None:
        raise RegistryError(f"{address!r} is no address of a model; write models:/NAME@ALIAS or models:/NAME/VERSION.")
    require_there(address, tracking_uri)
    client = connected(tracking_uri, writing=False)
    try:
        version = _version(client, parts) if parts else _logged(client, address)
        location = location_of(client, f"{MODELS}{version.name}/{version.version}" if parts else address)
    except MlflowException as error:
        with registry_errors():
            known = sorted(model.name for model in client.search_registered_models())
        hint = hint_of(parts["name"] if parts else address, [name for name in known if parts and name != parts["name"]])
        there = f"Models there: {', '.join(known) or 'none'}.{hint}"
        raise AbsentError(f"{address} is not in {tracking_uri}: {brief(error)}. {there}") from error
    return fetched(location, tracking_uri), version


def _version(client: MlflowClient, parts: re.Match[str]) -> ModelVersion:
    if parts["alias"]:
        found = client.get_model_version_by_alias(parts["name"], parts["alias"])
    else:
        found = client.get_model_version(parts["name"], parts["version"])
    return ModelVersion(parts["name"], str(found.version), tuple(found.aliases), str(found.source))


def _logged(client: MlflowClient, address: str) -> ModelVersion:
    model = client.get_logged_model(address.removeprefix(MODELS))
    return ModelVersion(str(model.name), str(model.model_id), (), str(model.artifact_location))


def require_there(address: str, tracking_uri: str) -> None:
    """Raises RegistryError where the local database does not exist: reading must not make one."""
    path = sqlite_file(tracking_uri) if is_sqlite(tracking_uri) else None
    if path is not None and not path.exists():
        raise RegistryError(
            f"{address} is not in {tracking_uri}: there is no file {path.absolute()}. Start in the folder that holds "
            "it, or name the registry by MLFLOW_TRACKING_URI. Models there: none."
        )
