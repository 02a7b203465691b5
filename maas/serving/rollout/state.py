"""Keeps roll-outs: in `rollout.json` of a folder, so that they survive the server, or in memory.

Several processes may change one file: each change reads it again, under a lock. Nothing here decides anything.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from maas.errors import ConfigError, one_line, shortened_value
from maas.files import write_json
from maas.serving.rollout.records import STATE_VERSION, RolloutState

FILE, LOCK = "rollout.json", "rollout.lock"
Edit: TypeAlias = Callable[[RolloutState], RolloutState]
"""Makes the next state of the one that is kept at that moment; it may be made of another than was seen before."""

log = logging.getLogger("maas.serving")


class StateStore(Protocol):
    """Keeps the state of roll-outs. Its methods block."""

    def read(self) -> RolloutState:
        """Returns what is kept.

        Raises:
            ConfigError: it cannot be read.
        """

    def update(self, edit: Edit) -> RolloutState:
        """Keeps what an edit makes of the state, and returns it.

        Raises:
            ConfigError: it cannot be read or written.
        """

    def adopt(self, state: RolloutState) -> None:
        """Takes note of what another process kept."""


class MemoryState:
    """Keeps the state as long as the process lives; the log says so once."""

    def __init__(self) -> None:
        self._state = RolloutState()
        self._has_warned = False

    def read(self) -> RolloutState:
        """Returns what is kept."""
        return self._state

    def update(self, edit: Edit) -> RolloutState:
        """Keeps what an edit makes of the state, and returns it."""
        self._state = edit(self._state)
        if self._state.rollouts and not self._has_warned:
            self._has_warned = True
            log.warning(
                "Roll-outs are kept in memory alone, and are lost with the server. Set state=FOLDER to keep them."
            )
        return self._state

    def adopt(self, state: RolloutState) -> None:
        """Keeps what another process kept, unless it comes late."""
        if state.revision >= self._state.revision:
            self._state = state


class FolderState:
    """Keeps the state in a folder.

    Args:
        folder: made if there is none.
        known: what other processes have taken; null for what the folder holds.

    Raises:
        ConfigError: the folder cannot be made or written, or what it holds is needed and cannot be read.
    """

    def __init__(self, folder: str | Path, known: RolloutState | None = None) -> None:
        self._folder = Path(folder)
        self._file = self._folder / FILE
        self._known = known or RolloutState()
        self._stamp: tuple[int, ...] = ()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_written(error) from error
        with self._locked():
            if known is None:
                self._known = self.read()

    def read(self) -> RolloutState:
        """Returns what is kept.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return RolloutState()
        except OSError as error:
            raise ConfigError(
                f"{self._file} cannot be read: {error.strerror}. Set state= to another folder."
            ) from error
        return state_from(content, self._file)

    def read_if_changed(self) -> RolloutState | None:
        """Returns what is kept; None where the file is the same as at the last such look, or is gone.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            found = self._file.stat()
        except OSError:
            return None
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        return self.read()

    def update(self, edit: Edit) -> RolloutState:
        """Keeps what an edit makes of the state, and returns it.

        Raises:
            ConfigError: it cannot be read or written.
        """
        with self._locked():
            before = self._latest()
            state = edit(before)
            if state is not before:
                try:
                    write_json(self._file, state)
                except OSError as error:
                    raise self._not_written(error) from error
            self.adopt(state)
            return state

    def adopt(self, state: RolloutState) -> None:
        """Takes note of what the folder has."""
        if state.revision >= self._known.revision:
            self._known = state

    def _latest(self) -> RolloutState:
        """Returns what is kept, as the latest revision: what is known where the file was moved away meanwhile."""
        if not self._file.exists():
            return self._known
        kept = self.read()
        if kept.revision >= self._known.revision:
            return kept
        return msgspec.structs.replace(kept, revision=self._known.revision)  # a file of before was put back

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock that all processes with this folder share."""
        try:
            lock = (self._folder / LOCK).open("wb")
        except OSError as error:
            raise self._not_written(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file releases it
            yield

    def _not_written(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"state={self._folder} cannot be written: {error.strerror or error}. Set state= to a folder that can."
        )


def state_from(content: bytes, file: Path) -> RolloutState:
    """Returns the state that a file holds.

    Args:
        content: of the file.
        file: its path, for messages.

    Raises:
        ConfigError: it is another file, a broken one, or of another version of maas.
    """
    what_to_do = "Move it away, or set state= to another folder."
    try:
        found = msgspec.json.decode(content, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is no state of roll-outs: {one_line(error)}. {what_to_do}") from error
    version = found.get("schema_version")
    if version != STATE_VERSION:
        shown = "no schema_version" if version is None else f"schema_version {shortened_value(repr(version), '')}"
        raise ConfigError(f"{file} has {shown}; this server reads {STATE_VERSION}. {what_to_do}")
    try:
        return msgspec.convert(found, RolloutState)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file} is no state of roll-outs: {one_line(error)}. {what_to_do}") from error
