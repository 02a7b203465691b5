"""A run's folder, `runs/NAME/RUN/`: which run to start or go on with, and who is at work in it."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from maas.errors import ConfigError
from maas.files import write_atomically

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
        key: digest of recipe, rows and code; only the same work is gone on with.
        training: digest of what bears on training alone; later stages look for it.
        tracking_id: the MLflow run; empty until it was started.
        seconds: wall time by stage, an interrupted stage's not counted.
        finished: whether the whole line went through.
        compression: digest of the section that `compress/` was made by.
    """

    key: str
    training: str = ""
    tracking_id: str = ""
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    finished: bool = False
    compression: str = ""


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    Args:
        path: `runs/NAME/RUN`.
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
        """Reads what the run remembers; a new run remembers nothing."""
        file = self.path / "run.json"
        return msgspec.json.decode(file.read_bytes(), type=RunState) if file.is_file() else RunState(key="")

    def remember(self, **changes: object) -> None:
        """Changes fields of the state."""
        state = msgspec.structs.replace(self.state, **changes)
        write_atomically(self.path / "run.json", msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Keeps a stage's wall time."""
        self.remember(seconds={**self.state.seconds, stage: round(seconds, 2)})

    def point_latest(self) -> None:
        """Makes `runs/NAME/latest` point here."""
        beside = self.path.with_name(f"latest.{os.getpid()}.partial")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self.path.name)
        beside.replace(self.path.with_name("latest"))

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
        """Tells whether nobody else is at work here, and keeps others out while the block runs."""
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


@contextmanager
def claimed(
    root: Path, name: str, key: str, training: str, is_done: Callable[[RunFolder], bool], *, go_on: bool
) -> Iterator[RunFolder]:
    """Yields the newest run of the same work that is not done, or a new one; nobody else is at work in it.

    Args:
        root: the recipe's `runs_dir`.
        name: the model's name.
        key: digest of recipe, rows and code.
        training: digest of what bears on training alone.
        is_done: tells whether a run has what is wanted.
        go_on: whether an unfinished run may be gone on with.
    """
    for folder in runs(root, name) if go_on else []:
        if folder.state.key == key and not is_done(folder):
            with folder.try_lock() as is_ours:
                if is_ours:
                    yield folder
                    return
    folder = _new(root, name)
    with folder.locked():
        folder.remember(key=key, training=training)  # only now can others mistake it for a run to go on with
        yield folder


def _new(root: Path, name: str) -> RunFolder:
    stem = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = root / name / (f"{stem}-{attempt}" if attempt else stem)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return RunFolder(path)
    raise ConfigError(f"{root / name} holds a thousand runs of this second; wait a second.")


def runs(root: Path, name: str) -> list[RunFolder]:
    """Returns a model's runs, the newest first."""
    folders = [path for path in (root / name).glob("[0-9]*") if path.is_dir()]
    return [RunFolder(path) for path in sorted(folders, key=_age, reverse=True)]


def of_artifact(path: Path) -> RunFolder:
    """Returns the run that a checkpoint, a compression or a bundle belongs to.

    Raises:
        ConfigError: it lies in no run.
    """
    folder = RunFolder(path.resolve().parent)
    if not folder.state.key:
        raise ConfigError(f"{path} lies in no run; stages go on with what lies in runs/NAME/RUN/.")
    return folder


def newest_with(root: Path, name: str, training: str, *, artifact: str, stage: str) -> RunFolder:
    """Returns the newest run of the same training that has an artifact.

    Raises:
        ConfigError: there is none.
    """
    for folder in runs(root, name):
        if folder.state.training == training and getattr(folder, artifact).is_dir():
            return folder
    raise ConfigError(
        f"{root / name} holds no run of these settings with a {artifact}. Run python -m maas.{stage} recipe={name} "
        "first, with the same overrides."
    )


def _age(path: Path) -> tuple[str, int]:
    stem, _, attempt = path.name.partition("-")[2].partition("-")
    return f"{path.name.partition('-')[0]}-{stem}", int(attempt or 0)
