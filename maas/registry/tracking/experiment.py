"""The experiment that runs belong to: starting a run there, and resuming one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from maas.credentials import without_credentials
from maas.errors import RegistryError
from maas.registry.connection import TAKEN, connected, registry_errors
from maas.registry.databases import is_sqlite, require_folder
from maas.registry.reading.addresses import ABSENT
from maas.registry.tracking.tracker import Tracker

PARAMETERS_AT_ONCE = 100
"""Parameters in one request; MLflow takes no more."""


@dataclass(frozen=True)
class TrackedExperiment:
    """One experiment of one store.

    Args:
        name: of the experiment.
        tracking_uri: address of the store.
        artifacts: folder for the files of runs, for a local store; a server has its own.
        parent: id of the run that new runs belong to; None for none.
    """

    name: str
    tracking_uri: str
    artifacts: str
    parent: str | None = None

    def require_writable(self) -> None:
        """Requires that runs can be started here.

        Raises:
            RegistryError: the store cannot be reached or written, or the experiment is in the trash.
        """
        client = connected(self.tracking_uri)
        with registry_errors():
            found = self._found(client)
        local = self.artifacts if is_sqlite(self.tracking_uri) else ""
        _require_writable(str(found.artifact_location) if found else local)

    def start_run(
        self, name: str, tags: Mapping[str, str], parameters: Mapping[str, object], unsent: Path | None
    ) -> Tracker:
        """Starts a run; addresses in its tags and parameters lose their credentials.

        Raises:
            RegistryError: the store refuses a new run.
        """
        client = connected(self.tracking_uri)
        shown = {key: without_credentials(str(value)) for key, value in parameters.items()}
        pairs = [Param(key[:250], value[:6000]) for key, value in shown.items()]
        own = {key: without_credentials(value) for key, value in tags.items()}
        with registry_errors():
            of_parent = {MLFLOW_PARENT_RUN_ID: self.parent} if self.parent else {}
            run = client.create_run(self._id(client), run_name=name, tags={**own, **of_parent})
            _require_writable(str(run.info.artifact_uri))
            for start in range(0, len(pairs), PARAMETERS_AT_ONCE):
                client.log_batch(run.info.run_id, params=pairs[start : start + PARAMETERS_AT_ONCE])
        return Tracker(client, run.info.run_id, unsent)

    def resume_run(self, run_id: str, unsent: Path | None) -> Tracker | None:
        """Opens a run again; None where this store does not have it: another store, or a new database.

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

    def _found(self, client: MlflowClient) -> Experiment | None:
        found: Experiment | None = client.get_experiment_by_name(self.name)
        if found is not None and found.lifecycle_stage == LifecycleStage.DELETED:
            id_, other = found.experiment_id, "name another by registry.experiment=NAME"
            self._refuse_trash("experiment", self.name, "experiments restore --experiment-id", id_, other)
        return found

    def _id(self, client: MlflowClient) -> str:
        found = self._found(client)
        if found is None:
            local = Path(self.artifacts).resolve() / self.name if is_sqlite(self.tracking_uri) else None
            try:
                return str(client.create_experiment(self.name, artifact_location=local.as_uri() if local else None))
            except MlflowException as error:
                found = self._found(client) if error.error_code == TAKEN else None  # another first run was quicker
                if found is None:
                    raise
        return str(found.experiment_id)

    def _refuse_trash(self, what: str, name: str, command: str, id_: str, other: str) -> NoReturn:
        where = self.tracking_uri
        raise RegistryError(
            f"The {what} {name} is in the trash of {where}. Restore it: MLFLOW_TRACKING_URI={where} mlflow {command} "
            f"{id_}; or {other}."
        )


def _require_writable(location: str) -> None:
    """Raises RegistryError where the files of runs would lie in a local folder that cannot be written."""
    address = urlsplit(location)
    if location and address.scheme in ("", "file"):
        require_folder(Path(url2pathname(address.path)), "registry.artifacts, with another registry.experiment")
