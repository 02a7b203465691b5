"""A run's folder, `runs/NAME/RUN/`: what lies where, what the run remembers, and who is at work in it."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from maas.errors import ConfigError
from maas.files import draft_of, read_json, write_json

log = logging.getLogger("maas")
RUN_VERSION = 1
_HELD: set[IO[str]] = set()


def _let_go_in_child() -> None:
    """Closes the locks that a forked process got from its parent: it would hold them beyond the parent's end."""
    for file in _HELD:
        file.close()
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class RunState(msgspec.Struct, forbid_unknown_fields=True):
    """What a run remembers of itself between stages and across interruptions.

    Args:
        key: digest of recipe, rows and code; only the same work is resumed.
        training: digest of what bears on training alone; later stages look for it.
        tracking_id: id of the MLflow run; empty until it was started.
        seconds: wall time in seconds by stage, an interrupted stage's not counted.
        finished: whether the whole line went through.
        compression: digest of the section that `compress/` was made by.
        schema_version: version of this file's form.
        sources: digests of the user's own files that its parts were made of, by module.
    """

    key: str
    training: str = ""
    tracking_id: str = ""
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    finished: bool = False
    compression: str = ""
    schema_version: int = RUN_VERSION
    sources: dict[str, str] = msgspec.field(default_factory=dict)


class _StateVersion(msgspec.Struct):
    """The part of a state that is read first: all else may be unknown in another version."""

    schema_version: int = RUN_VERSION


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    Args:
        path: the folder, `runs/NAME/RUN`.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """What `train` leaves."""
        return self.path / "train"

    @property
    def resume(self) -> Path:
        """Lightning's own checkpoints."""
        return self.path / "resume"

    @property
    def candidates(self) -> Path:
        """What a search over chains has made so far, by content."""
        return self.path / "candidates"

    @property
    def plain_candidates(self) -> Path:
        """What a search has made that trains nothing; it goes when the search is done."""
        return self.path / "candidates.plain"

    @property
    def compressed(self) -> Path:
        """What `compress` leaves."""
        return self.path / "compress"

    @property
    def bundle(self) -> Path:
        """What `export` leaves."""
        return self.path / "bundle"

    @property
    def state(self) -> RunState:
        """Reads what the run remembers; a new run remembers nothing.

        Raises:
            ConfigError: it cannot be read.
        """
        file = self.path / "run.json"
        try:
            found = read_json(file, _StateVersion).schema_version
            if found > RUN_VERSION:
                raise ConfigError(f"{file} has schema version {found}; this maas reads {RUN_VERSION}. Upgrade maas.")
            return read_json(file, RunState)
        except FileNotFoundError:
            return RunState(key="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{file} cannot be read: {reason}. Remove {self.path}, or start another run.") from error

    @property
    def is_writable(self) -> bool:
        """Whether this user may work in it."""
        lock = self.path / "lock"
        return os.access(self.path, os.W_OK | os.X_OK) and (not lock.exists() or os.access(lock, os.W_OK))

    def remember(self, **changes: object) -> None:
        """Changes fields of the state."""
        state = msgspec.structs.replace(self.state, **changes)
        write_json(self.path / "run.json", state)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Keeps a stage's wall time."""
        self.remember(seconds={**self.state.seconds, stage: round(seconds, 2)})

    def point_latest(self) -> None:
        """Makes `runs/NAME/latest` point here; what is no link, e.g. a copied folder, stays with a warning."""
        latest = self.path.with_name("latest")
        draft = draft_of(latest)
        draft.symlink_to(self.path.name)
        try:
            draft.replace(latest)
        except OSError as error:
            draft.unlink()
            log.warning(
                "%s is no link and stays as it is (%s); the newest run is %s", latest, error.strerror, self.path
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out; a killed process lets go by itself.

        Raises:
            ConfigError: another process is at work here.
        """
        with self.try_lock() as is_ours:
            if not is_ours:
                raise ConfigError(f"Another process is at work in {self.path}. Wait for it to end.")
            yield

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Yields whether nobody else is at work here, and keeps others out while the block runs."""
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            _HELD.add(file)
            try:
                yield True
            finally:
                _HELD.discard(file)


def of_artifact(path: Path) -> RunFolder:
    """Returns the run that a checkpoint, a compression or a bundle belongs to.

    Raises:
        ConfigError: it lies in no run.
    """
    folder = RunFolder(path.resolve().parent)
    if not folder.state.key:
        raise ConfigError(f"{path} lies in no run; stages continue with what lies in runs/NAME/RUN/.")
    return folder
