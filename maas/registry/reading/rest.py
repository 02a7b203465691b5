"""A tracking server as its REST interface shows it: aliases, versions, and the files of bundles that it passes on.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from maas.errors import AbsentError, RegistryError
from maas.registry.copies import copy_of
from maas.registry.reading.addresses import (
    ADDRESS,
    COPIES_FOLLOWED,
    LOGGED,
    MODELS,
    NAMES_AT_ONCE,
    LocatedModel,
)
from maas.registry.reading.artifacts import ServedFiles, is_passed_on, served_address
from maas.registry.reading.process import RegistryProcess
from maas.registry.reading.tracking_server import TrackingServer


class _Alias(msgspec.Struct):
    alias: str
    version: str


class _Version(msgspec.Struct):
    name: str
    version: str


class _Model(msgspec.Struct):
    name: str
    aliases: list[_Alias] = []


class _VersionReply(msgspec.Struct):
    model_version: _Version


class _LocationReply(msgspec.Struct):
    artifact_uri: str


class _ModelsReply(msgspec.Struct):
    registered_models: list[_Model] = []
    next_page_token: str = ""


class _LoggedInfo(msgspec.Struct):
    name: str
    artifact_uri: str


class _LoggedModel(msgspec.Struct):
    info: _LoggedInfo


class _LoggedReply(msgspec.Struct):
    model: _LoggedModel


class RestRegistry:
    """Reads a tracking server; it needs no mlflow.

    Args:
        tracking_uri: `http://…` or `https://…`, which may hold a user's name and password.
        environment: variables that MLflow's own client reads: `MLFLOW_TRACKING_TOKEN`, `MLFLOW_TRACKING_USERNAME`,
            `MLFLOW_TRACKING_PASSWORD`, `MLFLOW_TRACKING_INSECURE_TLS`, `MLFLOW_TRACKING_SERVER_CERT_PATH`.
    """

    def __init__(self, tracking_uri: str, environment: Mapping[str, str]) -> None:
        self.tracking_uri = tracking_uri
        self._server = TrackingServer(tracking_uri, environment)
        self._process = RegistryProcess(tracking_uri)

    def version_at(self, name: str, alias: str) -> str:
        """Returns the version that an alias points at.

        Raises:
            AbsentError: there is no such model, or it has no such alias.
            RegistryError: the server does not answer as MLflow does.
        """
        reply = self._server.read("registered-models/alias", {"name": name, "alias": alias}, _VersionReply)
        return reply.model_version.version

    def names_with(self, alias: str) -> list[str]:
        """Returns the names of all models that have an alias, in the order of the alphabet.

        Raises:
            RegistryError: the server does not answer as MLflow does.
        """
        return sorted(one.name for one in self._models() if any(each.alias == alias for each in one.aliases))

    def locate(self, address: str) -> LocatedModel:
        """Finds a bundle by its address and returns where it lies, copied to this machine if need be.

        Raises:
            AbsentError: there is no such model or version.
            RegistryError: the address is malformed, or the server does not answer as MLflow does.
        """
        parts = ADDRESS.fullmatch(address)
        if parts is None and LOGGED.fullmatch(address) is None:
            raise RegistryError(
                f"{address!r} is no address of a model; write models:/NAME@ALIAS or models:/NAME/VERSION."
            )
        try:
            if parts is None:
                return self._logged(address)
            name, alias = parts["name"], parts["alias"]
            version = self.version_at(name, alias) if alias else parts["version"]
            return LocatedModel(str(self._folder(f"{MODELS}{name}/{version}")), name, version)
        except AbsentError as error:
            known = ", ".join(sorted(one.name for one in self._models())) or "none"
            raise AbsentError(f"{address} is not in {self.tracking_uri}: {error} Models there: {known}.") from error

    def close(self) -> None:
        """Ends the process that read files which the server does not pass on, if there was any."""
        self._process.close()

    def _logged(self, address: str) -> LocatedModel:
        found = self._logged_info(address)
        return LocatedModel(str(self._folder(found.artifact_uri)), found.name, address.removeprefix(MODELS))

    def _logged_info(self, address: str) -> _LoggedInfo:
        return self._server.read(f"logged-models/{address.removeprefix(MODELS)}", {}, _LoggedReply).model.info

    def _models(self) -> Iterator[_Model]:
        token = ""
        while True:
            query = {"max_results": str(NAMES_AT_ONCE), **({"page_token": token} if token else {})}
            reply = self._server.read("registered-models/search", query, _ModelsReply)
            yield from reply.registered_models
            token = reply.next_page_token
            if not token:
                return

    def _folder(self, address: str) -> Path:
        """Returns the folder of a bundle's files: where they lie, or a copy."""
        location = self._location(address)
        parts = urlsplit(location)
        if parts.scheme in ("", "file"):
            return Path(url2pathname(parts.path) if parts.scheme else location)
        if not is_passed_on(location):
            return Path(self._process.locate(address).folder)  # only MLflow's own client reaches it
        return copy_of(ServedFiles(served_address(location, self._server.root), self._server))

    def _location(self, address: str) -> str:
        """Follows a version to where its files lie: a copied version to its source, a logged model to its files."""
        location = address
        for _ in range(COPIES_FOLLOWED):
            if not location.startswith(MODELS):
                return location
            name, _, version = location.removeprefix(MODELS).rpartition("/")
            if name:
                query = {"name": name, "version": version}
                location = self._server.read("model-versions/get-download-uri", query, _LocationReply).artifact_uri
            else:
                location = self._logged_info(location).artifact_uri
        raise RegistryError(f"{address} is a copy of a copy, {COPIES_FOLLOWED} times over; register its bundle again.")
