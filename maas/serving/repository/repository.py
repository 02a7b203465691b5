"""Loads models, swaps them in, and lets the replaced ones finish.

A model is opened, compared with its golden outputs and measured away from the event loop; calls meanwhile run on the
one before. A version that gives other golden outputs than when it was made never gets in.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from maas.errors import ConfigError, shortened_value
from maas.runtime.bundle import Bundle
from maas.serving.engines.lazy import ModelMemory
from maas.serving.entries import LocatedEntry
from maas.serving.executors import Cores, Lane
from maas.serving.repository.deployments import Deployment, DeploymentState
from maas.serving.repository.opening import Opener
from maas.serving.repository.slots import EngineSettings, Slot, require_new, snapshot_from
from maas.serving.repository.snapshots import Snapshot
from maas.serving.stopping import GRACE_S

LANE_CLOSING_S = 1.0
"""A step of preprocessing that takes longer is left behind when the repository is closed."""
log = logging.getLogger("maas.serving")


class Companion(Protocol):
    """What goes on beside the models of a repository, as long as they are served."""

    def start(self) -> None:
        """Begins on the running event loop."""

    async def close(self) -> None:
        """Ends."""


class Repository:
    """The deployments of one server.

    Args:
        settings: how models are run.
        observe_rows: receives a model's name, its version and the number of rows of each of its runs.
        max_memory_bytes: the most bytes of all models that are loaded by their first call; null for no limit.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        observe_rows: Callable[[str, str, int], None] = lambda name, version, rows: None,  # noqa: ARG005
        max_memory_bytes: int | None = None,
    ) -> None:
        self.snapshot = Snapshot()
        self.lane = Lane("preprocess")
        self.slots: list[Slot] = []
        self.companions: list[Companion] = []
        self.changes = asyncio.Lock()
        self._settings = settings or EngineSettings()
        self._opener = Opener(self.lane, ModelMemory(max_memory_bytes), Cores(self._settings.cores), observe_rows)
        self.default: str | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._held: Counter[Snapshot] = Counter()
        self._released = asyncio.Event()

    def start(self) -> None:
        """Begins what goes on beside the models, on the running event loop."""
        for companion in self.companions:
            companion.start()

    def open(self, folder: str | Path, *, name: str | None = None, version: str = "1") -> Deployment:
        """Opens a bundle, compares its golden outputs, measures it, and serves it beside what is served.

        Args:
            folder: the bundle.
            name: name that callers use; the manifest's if null.
            version: version of the model.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
            ConfigError: the version is served already.
        """
        return self.add(LocatedEntry.of_folder(folder, name=name, version=version)).deployment

    def add(self, model: LocatedEntry) -> Slot:
        """Opens a bundle as an entry wants it, and serves it beside what is served.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
            ConfigError: the version is served already, or another one has its label.
        """
        settings = self._settings.changed_by(model.entry)
        deployment = self._served(model) or self._opener.opened(model, settings)
        slot = Slot(model.entry, settings, deployment)
        require_new(slot, self.slots)
        self.slots.append(slot)
        self._publish()
        return slot

    async def add_beside(self, model: LocatedEntry, leaving: Collection[Slot] = ()) -> None:
        """Does the same away from the event loop.

        Args:
            model: as an entry wants it.
            leaving: slots that are about to be removed: their labels may be the model's.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
            ConfigError: the version is served already, or another one has its label.
        """
        settings = self._settings.changed_by(model.entry)
        slot = Slot(model.entry, settings, await self._opened_beside(model, settings))
        require_new(slot, [one for one in self.slots if one not in leaving])
        self.slots.append(slot)
        self._publish()

    async def refresh(self, slot: Slot, model: LocatedEntry) -> None:
        """Gives a slot what its entry stands for now, unless it has that already.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
        """
        settings, before = self._settings.changed_by(model.entry), slot.deployment
        digest = (await asyncio.to_thread(Bundle.open, model.folder)).digest
        is_same = (before.version, before.bundle.digest) == (model.version, digest)
        if is_same and (slot.settings, slot.entry.lazy) == (settings, model.entry.lazy):
            slot.entry = model.entry
            self._publish()
            return
        deployment = await asyncio.to_thread(self._opener.opened, model, settings)
        slot.entry, slot.settings = model.entry, settings
        self._swap(slot, deployment)

    def remove(self, slots: Sequence[Slot]) -> None:
        """Serves some slots' versions no more; their calls are finished."""
        before = self.snapshot.deployments
        self.slots = [slot for slot in self.slots if slot not in slots]
        self._publish()
        self._retire_missing(before)

    def put_in_order(self, order: Sequence[object], default: str | None) -> None:
        """Puts slots in the order of a list of entries' identities, others after them, with a default model.

        Raises:
            ConfigError: the default model is not served; the first one is in its place.
        """
        self.slots.sort(
            key=lambda slot: order.index(slot.entry.identity) if slot.entry.identity in order else len(order)
        )
        self.default = None
        self._publish()
        if default is not None:
            self.set_default(default)

    def set_default(self, name: str) -> None:
        """Lets a model answer where a request names none.

        Raises:
            ConfigError: it is not served.
        """
        names = dict.fromkeys(one.name for one in self.snapshot.deployments)
        if name not in names:
            served = ", ".join(names)
            raise ConfigError(f"default is {shortened_value(name)}, and the models are {served}. Name one of them.")
        self.default = name
        self._publish()

    async def swap(self, slot: Slot, model: LocatedEntry) -> Deployment:
        """Opens a bundle away from the event loop, and gives it a slot; what had that finishes what it admitted.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
        """
        deployment = await self._opened_beside(model, slot.settings)
        self._swap(slot, deployment)
        return deployment

    @contextmanager
    def held(self, snapshot: Snapshot) -> Iterator[None]:
        """Keeps the deployments of a snapshot running, those as well that are replaced inside."""
        self._held[snapshot] += 1
        try:
            yield
        finally:
            self._held[snapshot] -= 1
            self._held += Counter()  # without those that nobody holds
            self._released.set()

    async def close(self, within_s: float = GRACE_S) -> None:
        """Finishes what was admitted; what takes longer than `within_s` seconds is given up."""
        try:
            async with asyncio.timeout(within_s):
                for companion in self.companions:
                    await companion.close()
                for deployment in self.snapshot.deployments:
                    deployment.state = DeploymentState.DRAINING
                await asyncio.gather(*self._retiring, *map(self._retire, self.snapshot.deployments))
        except TimeoutError:
            log.warning("Work of models did not end within %.1f s, and is given up.", within_s)
        self.lane.close(LANE_CLOSING_S)

    async def _opened_beside(self, model: LocatedEntry, settings: EngineSettings) -> Deployment:
        served = self._served(model)
        if served is not None:
            return served
        return await asyncio.to_thread(self._opener.opened, model, settings)

    def _served(self, model: LocatedEntry) -> Deployment | None:
        """Returns the deployment of a registered version that another alias points at as well."""
        if model.entry.alias is None or model.name is None:
            return None
        found = [one for one in self.snapshot.deployments if (one.name, one.version) == (model.name, model.version)]
        return found[0] if found else None

    def _swap(self, slot: Slot, deployment: Deployment) -> None:
        """Gives a deployment a slot; the one before finishes what it admitted, unless it has another slot."""
        before = self.snapshot.deployments
        slot.deployment = deployment
        self._publish()
        self._retire_missing(before)

    def _retire_missing(self, before: Sequence[Deployment]) -> None:
        """Lets those of some deployments finish that are not served any more."""
        for deployment in before:
            if deployment not in self.snapshot.deployments:
                deployment.state = DeploymentState.DRAINING
                task = asyncio.create_task(self._retire(deployment))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)

    def _publish(self) -> None:
        self.snapshot = snapshot_from(self.slots, self.default)
        for deployment in self.snapshot.deployments:
            deployment.state = DeploymentState.READY

    async def _retire(self, deployment: Deployment) -> None:
        while any(deployment in snapshot.deployments for snapshot in self._held):
            self._released.clear()
            await self._released.wait()
        await deployment.engine.drain()
        deployment.state = DeploymentState.GONE
