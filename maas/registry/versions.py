"""A registered version, and finding it by its address."""

import re
from pathlib import Path

import msgspec
from mlflow.exceptions import MlflowException

from maas.errors import RegistryError
from maas.registry.connection import brief, connected, downloaded

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


class ModelVersion(msgspec.Struct, frozen=True):
    """One registered version.

    Args:
        name: of the model.
        version: a number, from 1.
        aliases: names that point at it.
        source: where its bundle lies.
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
    """Finds the bundle behind `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Args:
        address: what to find.
        tracking_uri: where.

    Returns:
        A local folder, and the version.

    Raises:
        RegistryError: the address is malformed, or there is no such version.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise RegistryError(f"{address!r} is no address of a model; write models:/NAME@ALIAS or models:/NAME/VERSION.")
    client = connected(tracking_uri)
    name = parts["name"]
    try:
        if parts["alias"]:
            found = client.get_model_version_by_alias(name, parts["alias"])
        else:
            found = client.get_model_version(name, parts["version"])
    except MlflowException as error:
        known = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none"
        raise RegistryError(f"{address} is not in {tracking_uri}: {brief(error)}. Models there: {known}.") from error
    version = ModelVersion(name, str(found.version), tuple(found.aliases), str(found.source))
    return downloaded(version.source, tracking_uri), version
