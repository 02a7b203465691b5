"""The roll-outs of a server: what it needs of them for each request, and the one function by which they change.

Each process of a server has its own, and checks candidates by what it sees itself. What one of them changes is kept,
and broadcast to the others.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import msgspec

from maas.errors import ConfigError, InputError, MaasError
from maas.serving.peers import Alone, Peers, require_all
from maas.serving.protocols.operations import Request
from maas.serving.repository import Snapshot
from maas.serving.rollout import edits
from maas.serving.rollout.arms import Arms, Assignment, VersionsInRoles, versions_in_roles
from maas.serving.rollout.records import Rollout, RolloutRecord, RolloutState
from maas.serving.rollout.returning import CandidateCheck
from maas.serving.rollout.state import Edit, MemoryState, StateStore
from maas.serving.rollout.watching import RolloutObserver, RolloutWatch, Unobserved, watch_of

BROADCAST = "rollouts"

log = logging.getLogger("maas.serving")


class Rollouts:
    """Decides which versions answer requests that name none.

    Args:
        store: keeps the state; null for memory.
        peers: processes that serve the same models.
        observer: sees copies and returns.
        draw: returns a random number in [0, 1).
        state: what other processes have; null for what is kept.
    """

    def __init__(
        self,
        store: StateStore | None = None,
        peers: Peers | None = None,
        observer: RolloutObserver | None = None,
        draw: Callable[[], float] = random.random,
        state: RolloutState | None = None,
    ) -> None:
        self.state = RolloutState()
        self.is_active = False
        self._store, self._peers = store or MemoryState(), peers or Alone()
        self._observer, self._draw = observer or Unobserved(), draw
        self._assignment = Assignment(Snapshot(), ())
        self._watches: dict[str, RolloutWatch] = {}
        self._logged: dict[str, tuple[str, ...]] = {}
        self._changing: set[asyncio.Task[None]] = set()
        self._peers.handle(BROADCAST, self._take_broadcast)
        self.take(self._store.read() if state is None else state)

    def snapshot_for(self, request: Request, snapshot: Snapshot) -> Snapshot:
        """Returns what is served as a request is to see it; to be called where `is_active`.

        Args:
            request: its headers may want a role, or say whose it is.
            snapshot: what is served.
        """
        return self.applied_to(snapshot).snapshot_for(request)

    def applied_to(self, snapshot: Snapshot) -> Assignment:
        """Returns the active roll-outs applied to what is served."""
        if self._assignment.snapshot is not snapshot:
            arms = [self._arms(name, snapshot) for name, one in self.state.rollouts.items() if one.status == "active"]
            self._assignment = Assignment(snapshot, [one for one in arms if one is not None], self._draw)
        return self._assignment

    def check_of(self, name: str) -> CandidateCheck | None:
        """Returns what is known of a candidate that has bounds, in this process."""
        watch = self._watches.get(name)
        return watch.check if watch else None

    async def change(self, edit: Edit) -> None:
        """Changes the state: it is kept, and applied in all processes.

        Raises:
            InputError: the edit is refused.
            ConfigError: it cannot be kept; nothing has changed.
            MaasError: it is kept, and some process could not apply it.
        """
        await asyncio.shield(self._started(self._change(edit)))  # a caller that leaves does not leave it half done

    def take(self, state: RolloutState) -> None:
        """Applies a state; one that is older than what is known comes late, and is ignored."""
        if state.revision < self.state.revision:
            return
        self.state = state
        active = {name: one for name, one in state.rollouts.items() if one.status == "active"}
        self.is_active = bool(active)
        self._watches = {name: one for name, one in self._watches.items() if active.get(name) == one.record}
        self._assignment = Assignment(Snapshot(), ())

    def take_written(self, written: Mapping[str, Rollout], snapshot: Snapshot) -> None:
        """Takes the roll-outs of a file of models when the server starts.

        Args:
            written: roll-outs of the file, by name.
            snapshot: what is served.

        Raises:
            ConfigError: one cannot be, or the state cannot be kept.
        """
        for name, rollout in written.items():
            before = self.state.rollouts.get(name)
            if before is None or before.written != rollout:
                try:
                    require_servable(rollout, snapshot)
                except InputError as error:
                    raise ConfigError(f"Roll-out {name}: {error}") from error
        try:
            self.take(self._store.update(edits.with_written(written, time.time())))
        except InputError as error:
            raise ConfigError(str(error)) from error

    def take_served(self, state: RolloutState) -> None:
        """Takes the roll-outs that other processes have."""
        self._store.adopt(state)
        self.take(state)

    async def take_written_again(self, read: Callable[[], Mapping[str, Rollout]]) -> None:
        """Takes the roll-outs of a file of models that is read again; a fault is a line of the log.

        Args:
            read: reads the file; it blocks.
        """
        try:
            edit = edits.with_written(await asyncio.to_thread(read), time.time())
            self.take(await asyncio.to_thread(self._store.update, edit))  # every process reads the file itself
        except MaasError as error:
            log.warning("Roll-outs cannot be read again, and stay as they are: %s", error)

    async def close(self) -> None:
        """Waits until all is kept."""
        while self._changing:
            await asyncio.wait(self._changing)

    async def _take_broadcast(self, content: bytes) -> bytes:
        state = msgspec.json.decode(content, type=RolloutState)
        self.take_served(state)
        return b""

    def _arms(self, name: str, snapshot: Snapshot) -> Arms | None:
        """Returns a roll-out applied to what is served; None where its model is not."""
        record = self.state.rollouts[name]
        versions = versions_in_roles(record.rollout, snapshot)
        self._log_missing(name, record.rollout, versions)
        if versions is None:
            return None
        watch = self._watches.get(name)
        if watch is None or watch.versions.by_role != versions.by_role:  # of other versions nothing is known yet
            exceeded = partial(self._return, name, record)
            watch = self._watches[name] = watch_of(record, versions, exceeded, self._observer, self._draw)
        return Arms(name, record.rollout, versions, watch.notes)

    def _return(self, name: str, record: RolloutRecord, reason: str, check: CandidateCheck) -> None:
        """Gives a candidate no more requests: at once in this process, and soon in all others and after a restart."""
        if self.state.rollouts.get(name) != record:
            return  # requests that were on their way
        edit = edits.returned(name, record, reason, check.figures, time.time())
        self.take(edit(self.state))
        log.warning("Roll-out %s: the candidate for %s is returned: %s.", name, record.rollout.model, reason)
        self._observer.observe_return(record.rollout.model, name)
        self._started(self._save(edit))

    def _started(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Starts a task that is waited for before the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._changing.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._changing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have

    async def _change(self, edit: Edit) -> None:
        state = await asyncio.to_thread(self._store.update, edit)
        require_all(await self._peers.broadcast(BROADCAST, msgspec.json.encode(state), is_state=True))

    async def _save(self, edit: Edit) -> None:
        try:
            await self.change(edit)
        except MaasError as error:
            log.warning("That the candidate was returned is not kept, or not known to all processes: %s", error)

    def _log_missing(self, name: str, rollout: Rollout, versions: VersionsInRoles | None) -> None:
        """Logs what has no part in a roll-out, once."""
        missing = (f"model {rollout.model} is not served",) if versions is None else versions.missing
        if missing != self._logged.get(name, ()):
            self._logged[name] = missing
            if missing:
                log.warning("Roll-out %s: %s. The stable version answers.", name, "; ".join(missing))
            else:
                log.warning("Roll-out %s: all its versions are served again.", name)


def require_servable(rollout: Rollout, snapshot: Snapshot) -> None:
    """Refuses a roll-out of a model or versions that are not served.

    Raises:
        UnknownModelError: the model is not.
        InputError: a version is not, or cannot have a part.
    """
    snapshot.find(rollout.model)
    versions = versions_in_roles(rollout, snapshot)
    if versions is not None and versions.missing:
        served = ", ".join(map(snapshot.shown_version, snapshot.versions(rollout.model)))
        fault = "; ".join(versions.missing)
        raise InputError(f"{fault[0].upper()}{fault[1:]}. Name another version; there is {served}.")
