"""One MLflow run: what a training and its later stages leave there. Tracking records work, and never ends it."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from maas.errors import RegistryError
from maas.registry.connection import registry_errors
from maas.registry.tracking.unsent import Unsent

AGAIN_S = 60.0
"""Seconds after a failure before MLflow is tried again, but for the end of a stage."""
PATIENCE = 10.0
"""So many times as long as the failure took is waited, at least: an MLflow that hangs costs a tenth of the time."""

log = logging.getLogger("maas")


class Tracker:
    """One MLflow run.

    What MLflow does not take is kept and logged once it answers again: later in the same stage, at its end, or in the
    next stage of the run. There is one warning.

    Args:
        client: connected client.
        run_id: id of the run.
        unsent: folder for what waits; without one it is lost, with a warning.
    """

    def __init__(self, client: MlflowClient, run_id: str, unsent: Path | None = None) -> None:
        self.client = client
        self.run_id = run_id
        self._unsent = Unsent(unsent) if unsent else None
        self._again = 0.0
        self._is_warned = False

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Logs an epoch's values."""
        now = int(time.time() * 1e3)
        metrics = [Metric(key, value, now, epoch) for key, value in values.items()]
        self._log(
            lambda: self.client.log_batch(self.run_id, metrics=metrics), lambda unsent: unsent.keep_values(metrics)
        )

    def log_values(self, values: Mapping[str, float]) -> None:
        """Logs values that have no step."""
        self.log_epoch(0, values)

    def log_files(self, path: Path, folder: str) -> None:
        """Uploads a file or the files of a folder into `folder`."""
        self._log(lambda: self._upload(path, folder), lambda unsent: unsent.keep_files(path, folder))

    def upload(self, path: Path, folder: str) -> None:
        """Uploads what must be there: a file, or the files of a folder.

        Raises:
            RegistryError: MLflow does not take it.
        """
        with registry_errors():
            self._upload(path, folder)

    def settle(self) -> None:
        """Tries once more to log what waits, at the end of a stage."""
        if self._unsent:
            self._sent()

    def finish(self) -> None:
        """Logs what waits, and marks the run as finished."""
        self._sent(lambda: self.client.set_terminated(self.run_id, "FINISHED"))

    def mark_running(self) -> None:
        """Marks the run as running again."""
        self._sent(lambda: self.client.update_run(self.run_id, status="RUNNING"))

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Marks the run as failed or killed where the block does not end well, whose own error it lets through."""
        try:
            yield
        except Exception:
            self._sent(lambda: self.client.set_terminated(self.run_id, "FAILED"))
            raise
        except BaseException:  # ctrl-C, SIGTERM: nobody waits for an MLflow that is known to be away
            if not self._is_away():
                self._sent(lambda: self.client.set_terminated(self.run_id, "KILLED"))
            raise

    def _upload(self, path: Path, folder: str) -> None:
        upload = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        upload(self.run_id, str(path), folder)

    def _log(self, send: Callable[[], object], keep: Callable[[Unsent], None]) -> None:
        if not self._is_away() and self._sent(send):
            return
        if self._unsent is not None:
            try:
                keep(self._unsent)
            except OSError as error:
                log.warning("MLflow run %s: values or files are lost: %s", self.run_id, error)

    def _is_away(self) -> bool:
        return time.monotonic() < self._again

    def _sent(self, send: Callable[[], object] = lambda: None) -> bool:
        """Sends all that waits and then what `send` sends; returns whether MLflow took it."""
        started = time.monotonic()
        try:
            with registry_errors():
                late = self._unsent.send(self.client, self.run_id) if self._unsent else 0
                send()
        except RegistryError as error:
            self._again = time.monotonic() + max(AGAIN_S, PATIENCE * (time.monotonic() - started))
            self._warn(error)
            return False
        self._again = 0.0
        if late:
            log.info("tracking  MLflow answers again; %s values and files were logged late", late)
        return True

    def _warn(self, error: RegistryError) -> None:
        if self._is_warned:
            return
        self._is_warned = True
        unsent = self._unsent.folder if self._unsent is not None else None
        kept = f"is kept in {unsent} and logged once it does, by the run's next stage at the latest" if unsent else ""
        log.warning(
            "MLflow run %s cannot be logged to, and work continues. What MLflow does not take %s. %s",
            self.run_id,
            kept or "is lost",
            error,
        )
