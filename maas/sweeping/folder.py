"""A sweep's folder, `runs/NAME/sweeps/KEY/`: what each trial gave, so that no trial is run twice."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from maas.credentials import without_credentials
from maas.files import read_json, write_atomically, write_json

log = logging.getLogger("maas")


class TrialRecord(msgspec.Struct, forbid_unknown_fields=True):
    """What one combination gave.

    Args:
        overrides: of the trial, fixed ones among them.
        value: the recipe's metric on validation rows, of the epoch that was kept; None if the trial failed.
        reason: why it failed.
        run: the folder of its run.
        code: digest of the code that it was run by.
        ended: when, in UTC.
    """

    overrides: list[str]
    value: float | None
    reason: str = ""
    run: str = ""
    code: str = ""
    ended: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat())


@dataclass(frozen=True)
class SweepFolder:
    """One sweep on disk.

    Args:
        path: `runs/NAME/sweeps/KEY`.
    """

    path: Path

    @property
    def journal(self) -> Path:
        """Optuna's study."""
        return self.path / "study.journal"

    @property
    def tracking_id(self) -> str:
        """The sweep's MLflow run; empty until it was started."""
        file = self.path / "tracking_id"
        return file.read_text() if file.is_file() else ""

    def remember(self, tracking_id: str) -> None:
        """Keeps the sweep's MLflow run."""
        write_atomically(self.path / "tracking_id", tracking_id.encode())

    def keep(self, record: TrialRecord) -> None:
        """Writes what a trial gave; addresses in its overrides and its reason lose their credentials."""
        file = self._file(record.overrides)
        file.parent.mkdir(parents=True, exist_ok=True)
        shown, reason = list(map(without_credentials, record.overrides)), without_credentials(record.reason)
        write_json(file, msgspec.structs.replace(record, overrides=shown, reason=reason))

    def trial(self, overrides: Sequence[str]) -> TrialRecord | None:
        """Returns what a combination gave; None if it was not tried."""
        file = self._file(overrides)
        return _read(file) if file.exists() else None

    def trials(self) -> list[TrialRecord]:
        """Returns all trials in the order in which they ended."""
        found = filter(None, map(_read, sorted(self._trials.glob("*.json"))))
        return sorted(found, key=lambda record: record.ended)

    @property
    def _trials(self) -> Path:
        return self.path / "trials"

    def _file(self, overrides: Sequence[str]) -> Path:
        return self._trials / f"{hashlib.sha256(chr(10).join(sorted(overrides)).encode()).hexdigest()[:16]}.json"


def _read(file: Path) -> TrialRecord | None:
    """Returns a trial's record; None, with a warning, where it cannot be read: the trial is run again."""
    try:
        return read_json(file, TrialRecord)
    except (OSError, ValueError) as error:
        log.warning("%s is passed over: %s", file, error)
        return None
