"""What an administrator does with models while they are served: list, load again, unload, read the settings again.

One change is made at a time. What fails leaves things as they are.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from maas.errors import ConfigError, InputError, MaasError, shortened_value
from maas.runtime.bundle_files import read_manifest
from maas.serving import later
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.faults import UnknownModelError
from maas.serving.locating import Locator
from maas.serving.repository.repository import Repository
from maas.serving.repository.slots import Slot
from maas.serving.repository.watching import AliasWatcher

if TYPE_CHECKING:
    from maas.serving.rollout.records import RolloutState
    from maas.serving.served_models import ServedModels, UnloadedModel

log = logging.getLogger("maas.serving")
Entries = Callable[[], tuple[list[ModelEntry], str | None]]
"""Reads the entries of a server and the name of its default model."""


class IndexedVersion(NamedTuple):
    """A version as the index of a repository shows it.

    Args:
        name: name of the model.
        version: the version; empty where it is not known.
        state: `READY` or `UNAVAILABLE`.
        reason: why it is not ready.
    """

    name: str
    version: str
    state: str
    reason: str = ""


class Administration:
    """Changes what a repository serves.

    `followers` are called once the settings were read again; `rollouts` returns the roll-outs that other processes get,
    and is null where there can be none.

    Args:
        repository: of the server.
        locator: finds models.
        entries: reads the settings again.
        watcher: follows aliases.
    """

    def __init__(self, repository: Repository, locator: Locator, entries: Entries, watcher: AliasWatcher) -> None:
        self.repository = repository
        self.watcher = watcher
        self._locator = locator
        self._entries = entries
        self.followers: list[Callable[[], Awaitable[None]]] = []
        self.rollouts: Callable[[], RolloutState] | None = None
        self._unloaded: list[UnloadedModel] = []
        self._reloading: set[asyncio.Task[None]] = set()

    def index(self) -> list[IndexedVersion]:
        """Returns every version that is served or was unloaded."""
        served = [IndexedVersion(one.name, one.version, "READY") for one in self.repository.snapshot.deployments]
        gone = [IndexedVersion(one.name, one.version, "UNAVAILABLE", "unloaded") for one in self._unloaded]
        return [*served, *gone]

    def served(self) -> "ServedModels":
        """Returns what is served as a record."""
        slots = [
            later.ServedSlot(
                slot.entry,
                str(slot.deployment.bundle.folder),
                slot.deployment.name,
                slot.deployment.version,
                slot.refused,
            )
            for slot in self.repository.slots
        ]
        found = later.ServedModels(tuple(slots), tuple(self._unloaded), self.repository.default)
        return found if self.rollouts is None else msgspec.structs.replace(found, rollouts=self.rollouts())

    def restore(self, served: "ServedModels") -> None:
        """Serves what another process serves.

        Raises:
            BundleError: a bundle cannot be served.
        """
        for one in served.slots:
            self.repository.add(one.located).refused = one.refused
        self._unloaded = list(served.unloaded)
        if served.default is not None:
            self.repository.set_default(served.default)

    async def load(self, name: str) -> None:
        """Serves a model that was unloaded, or looks again where a served one lies and serves what is there now.

        Raises:
            InputError: it cannot be loaded; what was served is.
            UnknownModelError: no entry has the name.
        """
        async with self.repository.changes:
            served = [slot for slot in self.repository.slots if slot.deployment.name == name]
            gone = [one for one in self._unloaded if one.name == name]
            if not served and not gone:
                raise self._unknown(name)
            try:
                for slot in served:
                    await self._refresh(slot, slot.entry)
                for one in gone:
                    await self.repository.add_beside(await self._located(one.entry))
                    self._unloaded.remove(one)
            except MaasError as error:
                raise InputError(f"Model {name!r} cannot be loaded: {error}") from error

    async def unload(self, name: str) -> None:
        """Serves a model no more; its calls are finished.

        Raises:
            UnknownModelError: no entry has the name.
        """
        async with self.repository.changes:
            slots = [slot for slot in self.repository.slots if slot.deployment.name == name]
            if not slots and not any(one.name == name for one in self._unloaded):
                raise self._unknown(name)
            self.repository.remove(slots)
            self._unloaded += [later.UnloadedModel(slot.entry, name, slot.deployment.version) for slot in slots]

    def reload_soon(self) -> None:
        """Begins to read the settings again."""
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def reload(self) -> None:
        """Reads the settings again, and serves what is new or has changed in them; each fault is a line of the log.

        As long as an entry cannot be loaded, no model goes that has no other version: the entry may be for its place.
        """
        try:
            written, default = await asyncio.to_thread(self._entries)
            entries = await asyncio.to_thread(lambda: list(self._locator.expanded(written)))
        except MaasError as error:
            log.warning("The settings cannot be read again, and everything continues: %s", error)
            return
        async with self.repository.changes:
            known = {slot.entry.identity: slot for slot in self.repository.slots}
            wanted = {entry.identity for entry in entries}
            gone = [slot for identity, slot in known.items() if identity not in wanted]
            in_turn = sorted(entries, key=lambda entry: entry.identity not in known)  # their labels may be for new ones
            taken = [await self._take(entry, known.get(entry.identity), gone) for entry in in_turn]
            self._unloaded = [one for one in self._unloaded if one.entry.identity in wanted]
            stay = {slot.deployment.name for slot in self.repository.slots if slot not in gone}
            self.repository.remove([slot for slot in gone if all(taken) or slot.deployment.name in stay])
            self._put_in_order(entries, default)
        served = ", ".join(f"{one.name} version {one.version}" for one in self.repository.snapshot.deployments)
        log.warning("The settings were read again; served: %s.", served)
        for follow in self.followers:
            await follow()

    async def _take(self, entry: ModelEntry, slot: Slot | None, gone: list[Slot]) -> bool:
        """Serves what an entry stands for now, and returns whether that can be.

        Args:
            entry: of the settings.
            slot: that it has; null where it is new.
            gone: slots of entries that the settings have no more; the entry takes the one of its version out of them.
        """
        try:
            if slot is not None:
                await self._refresh(slot, entry)
            elif not any(one.entry.identity == entry.identity for one in self._unloaded):
                await self._add(await self._located(entry), gone)
        except MaasError as error:
            log.warning("%s cannot be loaded, and what was served continues: %s", entry.name or entry.model, error)
            return False
        return True

    async def _add(self, model: LocatedEntry, gone: list[Slot]) -> None:
        """Serves a new entry: in the place of one that is gone and had its name and version, or beside all others."""
        name = model.name or (await asyncio.to_thread(read_manifest, Path(model.folder))).name
        place = (name, model.version)
        replaced = next((one for one in gone if (one.deployment.name, one.deployment.version) == place), None)
        if replaced is None:
            await self.repository.add_beside(model, leaving=gone)
        else:
            gone.remove(replaced)
            await self.repository.refresh(replaced, model)

    async def _refresh(self, slot: Slot, entry: ModelEntry) -> None:
        """Serves what an entry stands for now, unless that is what is served."""
        await self.repository.refresh(slot, await self._located(entry))

    async def _located(self, entry: ModelEntry) -> LocatedEntry:
        return await asyncio.to_thread(self._locator.located, entry)

    def _put_in_order(self, entries: Sequence[ModelEntry], default: str | None) -> None:
        try:
            self.repository.put_in_order([entry.identity for entry in entries], default)
        except ConfigError as error:
            log.warning("%s", error)

    def _unknown(self, name: str) -> UnknownModelError:
        known = dict.fromkeys(one.name for one in self.index())
        return UnknownModelError(f"No model {shortened_value(name)} is known here; there is {', '.join(known)}.")
