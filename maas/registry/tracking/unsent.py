"""What could not be logged to an MLflow run: kept on disk beside the run, until MLflow answers again."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Metric

VALUES_AT_ONCE = 500
"""Values in one request; MLflow takes 1,000 at most."""


class _UnsentValue(NamedTuple):
    """One value as it is kept; JSON of Python's own, which has NaN."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class Unsent:
    """Values and files that wait to be logged.

    A killed process leaves them, and the next one that opens the run logs them. A value sent twice is one value.

    Args:
        folder: the folder that holds them; made with the first, and removed when all are sent.
    """

    folder: Path

    def keep_values(self, metrics: Sequence[Metric]) -> None:
        """Keeps values, each with its time and step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._values.open("a", encoding="utf-8") as file:
            for one in metrics:
                file.write(json.dumps(_UnsentValue(one.key, one.value, one.timestamp, one.step)) + "\n")

    def keep_files(self, path: Path, folder: str) -> None:
        """Keeps a copy of a file, or of the files of a folder, that belong into `folder` of the run."""
        place = self._files / folder
        place.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, place / path.name)

    def send(self, client: MlflowClient, run_id: str) -> int:
        """Logs all that waits, and returns how many values and files that was."""
        if not self:
            return 0
        metrics, files = self._metrics(), self._waiting_files()
        for start in range(0, len(metrics), VALUES_AT_ONCE):
            client.log_batch(run_id, metrics=metrics[start : start + VALUES_AT_ONCE])
        if files:
            client.log_artifacts(run_id, str(self._files))
        shutil.rmtree(self.folder)
        return len(metrics) + len(files)

    def __bool__(self) -> bool:
        return self.folder.is_dir()

    def __str__(self) -> str:
        return f"{len(self._metrics()):,} values and {len(self._waiting_files()):,} files"

    @property
    def _values(self) -> Path:
        return self.folder / "values.jsonl"

    @property
    def _files(self) -> Path:
        return self.folder / "files"

    def _metrics(self) -> list[Metric]:
        if not self._values.is_file():
            return []
        rows = map(_value, self._values.read_text(encoding="utf-8").splitlines())
        return [Metric(row.key, row.value, row.timestamp, row.step) for row in rows if row is not None]

    def _waiting_files(self) -> list[Path]:
        return [path for path in self._files.rglob("*") if path.is_file()]


def _value(line: str) -> _UnsentValue | None:
    """Returns a kept value, or None for a line that a killed process left half written."""
    try:
        return _UnsentValue(*json.loads(line))
    except (json.JSONDecodeError, TypeError):
        return None
