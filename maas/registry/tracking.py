"""One MLflow run: what a training and its later stages leave there."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from maas.registry.connection import registry_errors


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
        with registry_errors():
            metrics = [Metric(key, value, now, epoch) for key, value in values.items()]
            self.client.log_batch(self.run_id, metrics=metrics)

    def log_values(self, values: Mapping[str, float]) -> None:
        """Logs values that have no step."""
        self.log_epoch(0, values)

    def log_files(self, path: Path, folder: str) -> None:
        """Uploads a file or the files of a folder into `folder`."""
        upload = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        with registry_errors():
            upload(self.run_id, str(path), folder)

    def finish(self) -> None:
        """Marks the run as finished."""
        self._end("FINISHED")

    def go_on(self) -> None:
        """Marks the run as running again."""
        with registry_errors():
            self.client.update_run(self.run_id, status="RUNNING")

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Marks the run as failed or killed where the block does not end well."""
        try:
            yield
        except Exception:
            self._end("FAILED")
            raise
        except BaseException:  # ctrl-C, SIGTERM
            self._end("KILLED")
            raise

    def _end(self, status: str) -> None:
        with registry_errors():
            self.client.set_terminated(self.run_id, status)
