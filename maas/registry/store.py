"""Where runs are tracked and versions are kept: a local SQLite file, or any MLflow tracking server."""

import logging
import os
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from maas.errors import BundleError, RegistryError
from maas.runtime.bundle import Bundle

SQLITE = "sqlite:///"
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
BUNDLE_TAG, METRIC_TAG = "maas.manifest_sha256", "maas.metric"

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)


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


@dataclass(frozen=True)
class Store:
    """The `registry` section of a recipe.

    Args:
        tracking_uri: `sqlite:///FILE`, or the address of a tracking server.
        artifacts: folder for artifacts, for a local store; a server has its own.
        experiment: that runs belong to.
        alias: that points at the best version.
        promote: `not_worse` moves the alias only to a version whose metric, on the same test rows, is at least the old
            one's; `always` and `never` do what they say.
    """

    tracking_uri: str
    artifacts: str = "mlartifacts"
    experiment: str = "maas"
    alias: str = "champion"
    promote: Literal["not_worse", "always", "never"] = "not_worse"

    def client(self) -> MlflowClient:
        """Connects; a local database that is not there yet is made, whole or not at all.

        Raises:
            RegistryError: the store cannot be reached.
        """
        _silence()
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        try:
            if self.tracking_uri.startswith(SQLITE):
                _make_database(Path(self.tracking_uri.removeprefix(SQLITE)))
            client = MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
            client.search_experiments(max_results=1)
        except Exception as error:  # SQLAlchemy, requests and mlflow raise their own
            raise RegistryError(f"The registry {self.tracking_uri} cannot be reached: {_brief(error)}") from error
        return client

    def start_run(self, name: str, tags: Mapping[str, str], parameters: Mapping[str, Any]) -> "Tracker":
        """Starts an MLflow run.

        Args:
            name: of the run.
            tags: lineage.
            parameters: of the recipe, by dotted key.
        """
        client = self.client()
        run = client.create_run(self._experiment_id(client), run_name=name, tags=dict(tags))
        pairs = [Param(key[:250], str(value)[:6000]) for key, value in parameters.items()]
        for start in range(0, len(pairs), 100):
            client.log_batch(run.info.run_id, params=pairs[start : start + 100])
        return Tracker(client, run.info.run_id)

    def run(self, run_id: str) -> "Tracker":
        """Goes on with an MLflow run.

        Raises:
            RegistryError: there is no such run.
        """
        client = self.client()
        try:
            client.get_run(run_id)
        except MlflowException as error:
            raise RegistryError(f"{self.tracking_uri} has no run {run_id}: {_brief(error)}") from error
        return Tracker(client, run_id)

    def register(self, bundle: Bundle, tracker: "Tracker", metric: str) -> ModelVersion:
        """Makes a version of a bundle, and points the alias at it if it is not worse.

        Called again for the same bundle and run, it finds the version that is there and goes on from it.

        Args:
            bundle: with evidence.
            tracker: the run that it comes from.
            metric: what versions are compared by.
        """
        client, name = tracker.client, bundle.manifest.name
        version = self._find(client, name, tracker.run_id, bundle.digest) or self._create(
            client, bundle, tracker, metric
        )
        aliases, note = self._promote(client, bundle, version, metric)
        return ModelVersion(name, str(version.version), aliases, version.source, note)

    def _experiment_id(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        local = Path(self.artifacts).resolve() / self.experiment if self.tracking_uri.startswith(SQLITE) else None
        return str(client.create_experiment(self.experiment, artifact_location=local.as_uri() if local else None))

    def _find(self, client: MlflowClient, name: str, run_id: str, digest: str) -> Any:
        versions = client.search_model_versions(f"name = '{name}'")
        return next((one for one in versions if one.run_id == run_id and one.tags.get(BUNDLE_TAG) == digest), None)

    def _create(self, client: MlflowClient, bundle: Bundle, tracker: "Tracker", metric: str) -> Any:
        """Uploads the bundle first: a version that exists is whole."""
        tracker.log_files(bundle.folder, "bundle")
        name, value = bundle.manifest.name, bundle.evidence.metrics["shipped"][metric].value
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return client.create_model_version(
            name,
            source=f"{client.get_run(tracker.run_id).info.artifact_uri}/bundle",
            run_id=tracker.run_id,
            tags={BUNDLE_TAG: bundle.digest, METRIC_TAG: f"{metric}={value!r}"},
        )

    def _promote(self, client: MlflowClient, bundle: Bundle, version: Any, metric: str) -> tuple[tuple[str, ...], str]:
        """Returns the aliases that point at the version in the end, and why."""
        move, why = (self.promote == "always", f"promote is {self.promote}")
        if self.promote == "not_worse":
            move, why = _is_not_worse(bundle, self._champion(client, bundle.manifest.name, version), metric)
        if not move:
            return (), f"{self.alias} stays where it is: {why}"
        client.set_registered_model_alias(bundle.manifest.name, self.alias, version.version)
        return (self.alias,), f"{self.alias} points here: {why}"

    def _champion(self, client: MlflowClient, name: str, version: Any) -> tuple[str, Bundle] | None:
        try:
            old = client.get_model_version_by_alias(name, self.alias)
        except MlflowException:
            return None
        if old.version == version.version:
            return None
        try:
            return str(old.version), Bundle.open(
                download_artifacts(artifact_uri=old.source, tracking_uri=self.tracking_uri)
            )
        except (BundleError, MlflowException, OSError):
            return None  # its bundle is gone: nothing stands against the new one


@dataclass(frozen=True)
class Tracker:
    """One MLflow run.

    Args:
        client: connected.
        run_id: of the run.
    """

    client: MlflowClient
    run_id: str

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Logs an epoch's values."""
        now = int(time.time() * 1e3)
        self.client.log_batch(self.run_id, metrics=[Metric(key, value, now, epoch) for key, value in values.items()])

    def log_values(self, values: Mapping[str, float]) -> None:
        """Logs values that have no step."""
        self.log_epoch(0, values)

    def log_files(self, path: Path, folder: str) -> None:
        """Uploads a file or the files of a folder into `folder`."""
        upload = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        upload(self.run_id, str(path), folder)

    def finish(self) -> None:
        """Marks the run as finished."""
        self.client.set_terminated(self.run_id)


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
    client = Store(tracking_uri).client()
    name = parts["name"]
    try:
        if parts["alias"]:
            found = client.get_model_version_by_alias(name, parts["alias"])
        else:
            found = client.get_model_version(name, parts["version"])
    except MlflowException as error:
        known = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none"
        raise RegistryError(f"{address} is not in {tracking_uri}: {_brief(error)}. Models there: {known}.") from error
    folder = Path(download_artifacts(artifact_uri=found.source, tracking_uri=tracking_uri))
    return folder, ModelVersion(name, str(found.version), tuple(found.aliases), str(found.source))


def default_tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the local SQLite file that recipes use."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"


def _is_not_worse(bundle: Bundle, champion: tuple[str, Bundle] | None, metric: str) -> tuple[bool, str]:
    if champion is None:
        return True, "there is no other version to compare with"
    number, old = champion
    new_evidence, old_evidence = bundle.evidence, old.evidence
    if new_evidence.data.fingerprint != old_evidence.data.fingerprint:
        return (
            False,
            f"version {number} was measured on other rows; to move it all the same set registry.promote=always",
        )
    new, best = new_evidence.metrics["shipped"][metric].value, old_evidence.metrics["shipped"][metric].value
    comparison = f"{metric} {new:.4f} against {best:.4f} of version {number}"
    return new >= best, comparison


def _make_database(path: Path) -> None:
    """Lets MLflow lay out a new database beside its place, then links it into place unless another was quicker."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.partial")
    client = MlflowClient(tracking_uri=f"{SQLITE}{draft}", registry_uri=f"{SQLITE}{draft}")
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _silence() -> None:
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
