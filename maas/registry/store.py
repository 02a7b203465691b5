"""Where runs are tracked and versions are kept: a local SQLite file, or any MLflow tracking server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from maas.errors import BundleError, RegistryError
from maas.registry.connection import ABSENT, SQLITE, connected, downloaded, registry_errors
from maas.registry.tracking import Tracker
from maas.registry.versions import ModelVersion
from maas.runtime.bundle import Bundle

BUNDLE_TAG, METRIC_TAG = "maas.manifest_sha256", "maas.metric"
ALWAYS = "registry.promote=always"


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
        parent: the MLflow run that new runs belong to, such as a sweep's; null for none.
    """

    tracking_uri: str
    artifacts: str = "mlartifacts"
    experiment: str = "maas"
    alias: str = "champion"
    promote: Literal["not_worse", "always", "never"] = "not_worse"
    parent: str | None = None

    def start_run(self, name: str, tags: Mapping[str, str], parameters: Mapping[str, Any]) -> "Tracker":
        """Starts an MLflow run.

        Args:
            name: of the run.
            tags: lineage.
            parameters: of the recipe, by dotted key.
        """
        client = connected(self.tracking_uri)
        pairs = [Param(key[:250], str(value)[:6000]) for key, value in parameters.items()]
        with registry_errors():
            of_parent = {MLFLOW_PARENT_RUN_ID: self.parent} if self.parent else {}
            run = client.create_run(self._experiment_id(client), run_name=name, tags={**tags, **of_parent})
            for start in range(0, len(pairs), 100):
                client.log_batch(run.info.run_id, params=pairs[start : start + 100])
        return Tracker(client, run.info.run_id)

    def run(self, run_id: str) -> "Tracker | None":
        """Goes on with an MLflow run; None if this store does not have it (another store, or a database made anew)."""
        client = connected(self.tracking_uri)
        with registry_errors():
            try:
                client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in ABSENT:
                    return None
                raise
        return Tracker(client, run_id)

    def register(self, bundle: Bundle, tracker: "Tracker", metric: str | None) -> ModelVersion:
        """Makes a version of a bundle, and points the alias at it if it is not worse.

        Called again for the same bundle and run, it finds the version that is there and goes on from it.

        Args:
            bundle: with evidence.
            tracker: the run that it comes from.
            metric: what versions are compared by; None where their rows have no targets.
        """
        client, name = tracker.client, bundle.manifest.name
        with registry_errors():
            version = self._find(client, name, tracker.run_id, bundle.digest)
            version = version or self._create(client, bundle, tracker, metric)
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

    def _create(self, client: MlflowClient, bundle: Bundle, tracker: "Tracker", metric: str | None) -> Any:
        """Uploads the bundle first: a version that exists is whole."""
        tracker.log_files(bundle.folder, "bundle")
        name = bundle.manifest.name
        measured = {METRIC_TAG: f"{metric}={bundle.evidence.metrics['shipped'][metric].value!r}"} if metric else {}
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return client.create_model_version(
            name,
            source=f"{client.get_run(tracker.run_id).info.artifact_uri}/bundle",
            run_id=tracker.run_id,
            tags={BUNDLE_TAG: bundle.digest, **measured},
        )

    def _promote(
        self, client: MlflowClient, bundle: Bundle, version: Any, metric: str | None
    ) -> tuple[tuple[str, ...], str]:
        """Returns the aliases that point at the version in the end, and why."""
        move, why = (self.promote == "always", f"promote is {self.promote}")
        if self.promote == "not_worse":
            move, why = _is_not_worse(bundle, self._champion(client, bundle.manifest.name, version), metric)
        if not move:
            return (), f"{self.alias} stays where it is: {why}"
        client.set_registered_model_alias(bundle.manifest.name, self.alias, version.version)
        return (self.alias,), f"{self.alias} points here: {why}"

    def _champion(self, client: MlflowClient, name: str, version: Any) -> tuple[str, Bundle | None] | None:
        """Returns the version that the alias points at and its bundle; None if there is no other version."""
        try:
            old = client.get_model_version_by_alias(name, self.alias)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise
        if old.version == version.version:
            return None
        try:
            return str(old.version), Bundle.open(downloaded(str(old.source), self.tracking_uri))
        except (BundleError, RegistryError):
            return str(old.version), None


def _is_not_worse(bundle: Bundle, champion: tuple[str, Bundle | None] | None, metric: str | None) -> tuple[bool, str]:
    if champion is None:
        return True, "there is no other version to compare with"
    number, old = champion
    if metric is None:
        return True, "there is no metric to compare by"
    if old is None:
        return False, f"the bundle of version {number} cannot be opened; to move it all the same set {ALWAYS}"
    new_evidence, old_evidence = bundle.evidence, old.evidence
    if new_evidence.data.fingerprint != old_evidence.data.fingerprint:
        return (
            False,
            f"version {number} was measured on other rows; to move it all the same set {ALWAYS}",
        )
    new, best = new_evidence.metrics["shipped"][metric].value, old_evidence.metrics["shipped"][metric].value
    comparison = f"{metric} {new:.4f} against {best:.4f} of version {number}"
    return new >= best, comparison
