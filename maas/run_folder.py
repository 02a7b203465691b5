"""A run's folder, `runs/NAME/RUN/`: which run to start or resume, and who is at work in it."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from maas.errors import ConfigError
from maas.files import draft_of, read_json, write_atomically

log = logging.getLogger("maas")
SCHEMA_VERSION = 1
NAME = re.compile(r"(?P<time>\d{8}-\d{6})(-(?P<attempt>\d{1,3}))?")
"""Of a run's folder; what was copied or renamed by hand has another."""
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
        tracking_id: the MLflow run; empty until it was started.
        seconds: wall time by stage, an interrupted stage's not counted.
        finished: whether the whole line went through.
        compression: digest of the section that `compress/` was made by.
        schema_version: of this file.
        sources: digests of the user's own files that its parts were made of, by module.
    """

    key: str
    training: str = ""
    tracking_id: str = ""
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    finished: bool = False
    compression: str = ""
    schema_version: int = SCHEMA_VERSION
    sources: dict[str, str] = msgspec.field(default_factory=dict)


class Version(msgspec.Struct):
    """The part of a state that is read first: all else may be unknown in another version."""

    schema_version: int = SCHEMA_VERSION


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
        """Reads what the run remembers; a new run remembers nothing.

        Raises:
            ConfigError: it cannot be read.
        """
        file = self.path / "run.json"
        try:
            found = read_json(file, Version).schema_version
            if found > SCHEMA_VERSION:
                raise ConfigError(f"{file} has schema version {found}; this maas reads {SCHEMA_VERSION}. Upgrade maas.")
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
        write_atomically(self.path / "run.json", msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")

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
    root: Path,
    name: str,
    key: str,
    training: str,
    is_done: Callable[[RunFolder], bool],
    *,
    go_on: bool,
    sources: dict[str, str] | None = None,
) -> Iterator[RunFolder]:
    """Yields the newest run of the same work that is not done, or a new one; nobody else is at work in it.

    A run that another user made, and that cannot be written, is passed over.

    Args:
        root: the recipe's `runs_dir`.
        name: the model's name.
        key: digest of recipe, rows and code.
        training: digest of what bears on training alone.
        is_done: tells whether a run has what is wanted.
        go_on: whether an unfinished run may be resumed.
        sources: digests of the user's own files that a new run is made by, by module.

    Raises:
        ConfigError: no run can be started there.
    """
    for folder in runs(root, name) if go_on else []:
        if folder.state.key == key and not is_done(folder):
            if not folder.is_writable:
                log.warning("%s cannot be written and is passed over", folder.path)
                continue
            with folder.try_lock() as is_ours:
                if is_ours:
                    yield folder
                    return
    folder = _new(root, name)
    with folder.locked():
        own = sources or {}
        folder.remember(key=key, training=training, sources=own)  # only now can others mistake it for a run to resume
        yield folder


def _new(root: Path, name: str) -> RunFolder:
    stem = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = root / name / (f"{stem}-{attempt}" if attempt else stem)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except OSError as error:
            if isinstance(error, FileExistsError) and path.parent.is_dir():
                continue
            raise ConfigError(
                f"No run can be started in {path.parent}: {error.strerror}. Set runs_dir=FOLDER to one that can be "
                "written."
            ) from error
        return RunFolder(path)
    raise ConfigError(f"{root / name} holds a thousand runs of this second; wait a second.")


def runs(root: Path, name: str) -> list[RunFolder]:
    """Returns a model's runs, the newest first.

    What looks like a run and is none (a copy, a file, a state that cannot be read or is of a newer maas) is passed over
    with a warning.
    """
    found = []
    for path in sorted((root / name).glob("[0-9]*")):
        fault = _fault(path)
        if fault is None:
            found.append(RunFolder(path))
        elif fault:
            log.warning("%s is passed over: %s", path, fault)
    return sorted(found, key=lambda folder: _age(folder.path), reverse=True)


def _fault(path: Path) -> str | None:
    """Returns why what lies among runs is none of them: None for a run, empty for what does not look like one."""
    name = NAME.match(path.name)
    if name is None:
        return ""
    if name.group() != path.name:
        return "a run's name is the time of its start; this is a copy, or was renamed"
    try:
        if not path.is_dir():
            return "it is no folder"
        _ = RunFolder(path).state
    except OSError as error:
        return error.strerror or type(error).__name__
    except ConfigError as error:
        return str(error)
    return None


def of_artifact(path: Path) -> RunFolder:
    """Returns the run that a checkpoint, a compression or a bundle belongs to.

    Raises:
        ConfigError: it lies in no run.
    """
    folder = RunFolder(path.resolve().parent)
    if not folder.state.key:
        raise ConfigError(f"{path} lies in no run; stages continue with what lies in runs/NAME/RUN/.")
    return folder


def newest_with(
    root: Path, name: str, training: str, *, artifact: str, stage: str, sources: dict[str, str] | None = None
) -> RunFolder:
    """Returns the newest run of the same training that has an artifact; a warning says what code was edited since.

    Args:
        root: the recipe's `runs_dir`.
        name: the model's name.
        training: digest of what bears on training alone.
        artifact: the property of `RunFolder` that must be there.
        stage: that makes it.
        sources: digests of the user's own files as they are now, by module; None compares nothing.

    Raises:
        ConfigError: there is none.
    """
    for folder in runs(root, name):
        state = folder.state
        if state.training == training and getattr(folder, artifact).is_dir():
            now = sources if sources is not None and state.sources else state.sources
            edited = [one for one in sorted({*now, *state.sources}) if now.get(one) != state.sources.get(one)]
            if edited:
                log.warning("%s was trained by other code: %s changed since", folder.path, ", ".join(edited))
            return folder
    raise ConfigError(
        f"{root / name} holds no run of these settings with a {artifact}. Run python -m maas.{stage} recipe={name} "
        "first, with the same overrides."
    )


def _age(path: Path) -> tuple[str, int]:
    found = NAME.fullmatch(path.name)
    return (found["time"], int(found["attempt"] or 0)) if found else ("", 0)
