"""Where runs are tracked and versions are kept: a local SQLite file, or any MLflow tracking server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from maas.bounds import NonNegative
from maas.errors import BundleError, MaasError, RegistryError
from maas.registry.connection import ABSENT, TAKEN, connected, registry_errors
from maas.registry.databases import is_sqlite, require_folder, shown
from maas.registry.downloads import MODELS, fetched, location_of
from maas.registry.promotion import ALWAYS, Comparison, Decision, decided
from maas.registry.tracking import Tracker
from maas.registry.versions import ModelVersion
from maas.runtime.bundle import Bundle

BUNDLE_TAG, METRIC_TAG = "maas.manifest_sha256", "maas.metric"
TIMES = 4
"""How often a decision is made again at most because others have moved the alias."""

Compare: TypeAlias = Callable[[Bundle, Bundle], Comparison]
"""Lets a new bundle and the one that the alias points at answer the same rows."""


@dataclass(frozen=True)
class Store:
    """The `registry` section of a recipe.

    Args:
        tracking_uri: `sqlite:///FILE`, or the address of a tracking server.
        artifacts: folder for artifacts, for a local store; a server has its own.
        experiment: that runs belong to.
        alias: that points at the best version.
        promote: `not_worse` moves the alias only to a version that answers the same test rows at least as well as the
            old one, within `margin`; `always` and `never` do what they say.
        margin: `not_worse` leaves the alias where it is while the new version may be worse by so much, at 95 %: in
            percentage points of accuracy, F1 or R²; of an error in the target's unit, in that unit.
        parent: the MLflow run that new runs belong to, such as a sweep's; null for none.
    """

    tracking_uri: str
    artifacts: str = "mlartifacts"
    experiment: str = "maas"
    alias: str = "champion"
    promote: Literal["not_worse", "always", "never"] = "not_worse"
    margin: NonNegative = 1.0
    parent: str | None = None

    def check(self, run_id: str = "") -> None:
        """Looks whether runs and versions can be kept here, before the work that they are about.

        Args:
            run_id: the MLflow run to go on with; empty for none yet.

        Raises:
            RegistryError: the store cannot be reached or written, or the experiment or the run is in the trash.
        """
        if run_id and self.run(run_id) is not None:
            return
        client = connected(self.tracking_uri)
        with registry_errors():
            found = self._experiment(client)
        local = self.artifacts if is_sqlite(self.tracking_uri) else ""
        _require_writable(str(found.artifact_location) if found else local)

    def start_run(
        self, name: str, tags: Mapping[str, str], parameters: Mapping[str, Any], unsent: Path | None = None
    ) -> Tracker:
        """Starts an MLflow run.

        Args:
            name: of the run.
            tags: lineage.
            parameters: of the recipe, by dotted key.
            unsent: folder for what MLflow does not take later on.

        Raises:
            RegistryError: the store refuses a new run.
        """
        client = connected(self.tracking_uri)
        pairs = [Param(key[:250], str(value)[:6000]) for key, value in parameters.items()]
        with registry_errors():
            of_parent = {MLFLOW_PARENT_RUN_ID: self.parent} if self.parent else {}
            run = client.create_run(self._experiment_id(client), run_name=name, tags={**tags, **of_parent})
            _require_writable(str(run.info.artifact_uri))
            for start in range(0, len(pairs), 100):
                client.log_batch(run.info.run_id, params=pairs[start : start + 100])
        return Tracker(client, run.info.run_id, unsent)

    def run(self, run_id: str, unsent: Path | None = None) -> Tracker | None:
        """Goes on with an MLflow run; None if this store does not have it: another store, or a new database.

        Args:
            run_id: of the run.
            unsent: folder for what MLflow does not take, and for what it did not take before.

        Raises:
            RegistryError: the run is in the trash, or its files cannot be written.
        """
        client = connected(self.tracking_uri)
        with registry_errors():
            try:
                run = client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in ABSENT:
                    return None
                raise
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            self._refuse_trash("MLflow run", run_id, "runs restore --run-id", run_id, "start a new one by resume=never")
        _require_writable(str(run.info.artifact_uri))
        return Tracker(client, run_id, unsent)

    def register(
        self, bundle: Bundle, tracker: Tracker, metric: str | None, compare: Compare | None = None
    ) -> ModelVersion:
        """Makes a version of a bundle, and points the alias at it if it is not worse.

        Called again for the same bundle and run, it finds the version that is there and goes on from it.

        Args:
            bundle: with evidence.
            tracker: the run that it comes from.
            metric: what versions are compared by; None where their rows have no targets.
            compare: lets two bundles answer the same rows; None where there are none at hand.
        """
        client, name = tracker.client, bundle.manifest.name
        with registry_errors():
            version = self._find(client, name, tracker.run_id, bundle.digest)
            version = version or self._create(client, bundle, tracker, metric)
            number = int(version.version)
            for _ in range(TIMES):
                champion = self._champion(client, name)
                decision = self._decision(client, bundle, number, champion, metric, compare)
                if not decision.moves or self._champion(client, name) == champion:
                    break  # else another run has moved the alias while this one's bundle answered
            if decision.moves and champion != number:
                client.set_registered_model_alias(name, self.alias, version.version)
        note = f"{self.alias} {'points here' if decision.moves else 'stays where it is'}: {decision.why}"
        return ModelVersion(name, str(version.version), (self.alias,) * decision.moves, version.source, note)

    def _experiment(self, client: MlflowClient) -> Experiment | None:
        found: Experiment | None = client.get_experiment_by_name(self.experiment)
        if found is not None and found.lifecycle_stage == LifecycleStage.DELETED:
            id_, other = found.experiment_id, "name another by registry.experiment=NAME"
            self._refuse_trash("experiment", self.experiment, "experiments restore --experiment-id", id_, other)
        return found

    def _experiment_id(self, client: MlflowClient) -> str:
        found = self._experiment(client)
        if found is None:
            local = Path(self.artifacts).resolve() / self.experiment if is_sqlite(self.tracking_uri) else None
            try:
                return str(
                    client.create_experiment(self.experiment, artifact_location=local.as_uri() if local else None)
                )
            except MlflowException as error:
                found = self._experiment(client) if error.error_code == TAKEN else None  # another first run was quicker
                if found is None:
                    raise
        return str(found.experiment_id)

    def _refuse_trash(self, what: str, name: str, command: str, id_: str, other: str) -> NoReturn:
        where = shown(self.tracking_uri)
        raise RegistryError(
            f"The {what} {name} is in the trash of {where}. Restore it: MLFLOW_TRACKING_URI={where} mlflow {command} "
            f"{id_}; or {other}."
        )

    def _find(self, client: MlflowClient, name: str, run_id: str, digest: str) -> Any:
        versions = client.search_model_versions(f"name = '{name}'")
        return next((one for one in versions if one.run_id == run_id and one.tags.get(BUNDLE_TAG) == digest), None)

    def _create(self, client: MlflowClient, bundle: Bundle, tracker: Tracker, metric: str | None) -> Any:
        """Uploads the bundle first: a version that exists is whole."""
        tracker.upload(bundle.folder, "bundle")
        name = bundle.manifest.name
        measured = {METRIC_TAG: f"{metric}={bundle.evidence.metrics['shipped'][metric].value!r}"} if metric else {}
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        return client.create_model_version(
            name,
            source=f"{client.get_run(tracker.run_id).info.artifact_uri}/bundle",
            run_id=tracker.run_id,
            tags={BUNDLE_TAG: bundle.digest, **measured},
        )

    def _decision(
        self,
        client: MlflowClient,
        bundle: Bundle,
        version: int,
        champion: int | None,
        metric: str | None,
        compare: Compare | None,
    ) -> Decision:
        """Decides whether the alias points at a version in the end."""
        if champion == version:
            return Decision(True, "it does already")
        if self.promote != "not_worse":
            return Decision(self.promote == "always", f"promote is {self.promote}")
        if champion is None:
            return Decision(True, "there is no other version to compare with")
        if metric is None:
            return Decision(version > champion, f"there is no metric to compare with version {champion} by")
        return self._compared(client, bundle, version, champion, compare)

    def _compared(
        self, client: MlflowClient, bundle: Bundle, version: int, champion: int, compare: Compare | None
    ) -> Decision:
        """Decides by what both bundles answer."""
        otherwise = f"to move it all the same set {ALWAYS}"
        try:
            location = location_of(client, f"{MODELS}{bundle.manifest.name}/{champion}")
            old = Bundle.open(fetched(location, self.tracking_uri))
            is_same_rows = bundle.evidence.data.fingerprint == old.evidence.data.fingerprint
        except (BundleError, RegistryError, MlflowException):
            return Decision(False, f"the bundle of version {champion} cannot be opened; {otherwise}")
        if not is_same_rows:
            return Decision(False, f"version {champion} was measured on other rows; {otherwise}")
        if compare is None:
            return Decision(False, f"there are no rows to compare with version {champion} on; {otherwise}")
        try:
            compared = compare(bundle, old)
        except MaasError as error:
            return Decision(False, f"version {champion} cannot be compared: {str(error).rstrip('.')}; {otherwise}")
        return decided(compared, version=version, champion=champion, margin=self.margin)

    def _champion(self, client: MlflowClient, name: str) -> int | None:
        """Returns the number of the version that the alias points at; None where it points at none."""
        try:
            return int(client.get_model_version_by_alias(name, self.alias).version)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise


def _require_writable(location: str) -> None:
    """Raises RegistryError where the files of runs would lie in a local folder that cannot be written."""
    address = urlsplit(location)
    if location and address.scheme in ("", "file"):
        require_folder(Path(url2pathname(address.path)), "registry.artifacts, with another registry.experiment")
