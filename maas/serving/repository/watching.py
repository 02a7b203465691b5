"""Follows aliases of the registry: when one moves, the version that it points at now takes the place of the other.

The new version is opened beside the old one. If it does not predict its golden inputs as it did when it was made, the
old one continues, and the new one is not tried again until the alias moves. A registry that cannot be reached changes
nothing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

import msgspec

from maas.errors import AbsentError, BundleError, RegistryError
from maas.registry.reading.addresses import MODELS
from maas.serving.locating import Locator
from maas.serving.repository.repository import Repository
from maas.serving.repository.slots import Slot

log = logging.getLogger("maas.serving")
REPEAT_S = 600.0
"""Seconds after which a fault that lasts is logged again."""
EARLIEST, LATEST = 0.4, 0.6
"""Fractions of the interval after which the next look begins, at random: servers that were started at one moment do not
all look at another. The rest of the interval is for loading what is found."""


class AliasWatcher:
    """Looks at the registry again and again.

    Args:
        repository: whose slots follow aliases.
        locator: finds models.
        interval_s: time within which a version that can be loaded in a third of it takes the other's place, in
            seconds; 0 for not at all.
        observe: receives a model's name and what became of a move: `swapped`, `refused`, `failed` (the bundle cannot be
            had), `absent` (the alias is gone) or `unreachable` (the registry does not answer).
    """

    def __init__(
        self,
        repository: Repository,
        locator: Locator,
        interval_s: float,
        observe: Callable[[str, str], None] = lambda model, result: None,  # noqa: ARG005
    ) -> None:
        self._repository = repository
        self._locator = locator
        self._interval_s = interval_s
        self._observe = observe
        self._logged: dict[str, tuple[str, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look, on the running event loop."""
        if self._interval_s > 0:
            self._begin()
        if not self._interval_s or not any(slot.entry.alias for slot in self._repository.slots):
            self._locator.close()  # it is opened again where it is needed

    async def close(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.to_thread(self._locator.close)

    async def look(self) -> None:
        """Looks once at every alias, and swaps what has moved."""
        for slot in tuple(self._repository.slots):
            async with self._repository.changes:
                if slot.entry.alias and slot in self._repository.slots:
                    await self._follow(slot, slot.entry.alias)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._watch())
        self._task.add_done_callback(self._continue)

    def _continue(self, task: "asyncio.Task[None]") -> None:
        """Begins again where a look has failed in a way that nobody thought of."""
        if not task.cancelled() and (error := task.exception()):
            log.error("Following aliases failed and begins again.", exc_info=error)
            self._begin()

    async def _watch(self) -> None:
        looked_s = time.monotonic()
        while True:
            wait_s = self._interval_s * random.uniform(EARLIEST, LATEST)  # noqa: S311  nothing secret
            await asyncio.sleep(max(0.0, looked_s + wait_s - time.monotonic()))
            looked_s = time.monotonic()
            await self.look()

    async def _follow(self, slot: Slot, alias: str) -> None:
        """Looks at one alias."""
        address, name, registered = slot.entry.model, slot.deployment.name, slot.entry.registered_name
        try:
            version = await asyncio.to_thread(self._locator.reader.version_at, registered, alias)
        except AbsentError as error:
            self._report(slot, "absent", f"{error} Version {slot.deployment.version} of {name} continues.")
        except RegistryError as error:
            self._report(slot, "unreachable", f"{error} Version {slot.deployment.version} of {name} continues.")
        else:
            if self._logged.pop(address, ("", 0.0))[0] in ("absent", "unreachable"):
                log.warning("%s is there again; it points at version %s.", address, version)
            if version == slot.deployment.version:
                slot.refused = ""
            elif version != slot.refused:
                await self._take(slot, registered, version)

    async def _take(self, slot: Slot, registered: str, version: str) -> None:
        """Opens the version that an alias points at now, and lets it take the place of the other."""
        name, before = slot.deployment.name, slot.deployment.version
        slot.refused = version  # whatever happens now, it is not tried again until the alias moves
        fixed = msgspec.structs.replace(slot.entry, model=f"{MODELS}{registered}/{version}")
        try:
            found = await asyncio.to_thread(self._locator.located, fixed)
            await self._repository.swap(slot, found._replace(entry=slot.entry))
        except BundleError as error:
            self._observe(name, "refused")
            log.warning("%s version %s is refused, and version %s continues: %s", name, version, before, error)
        except RegistryError as error:
            slot.refused = ""
            self._report(
                slot, "failed", f"{name} version {version} cannot be had, and version {before} continues: {error}"
            )
        else:
            slot.refused = ""
            self._observe(name, "swapped")
            log.warning("%s version %s takes the place of version %s.", name, version, before)

    def _report(self, slot: Slot, result: str, message: str) -> None:
        """Counts a fault, and logs it unless it was logged a short while ago."""
        self._observe(slot.deployment.name, result)
        before, logged_s = self._logged.get(slot.entry.model, ("", 0.0))
        if result != before or time.monotonic() - logged_s > REPEAT_S:
            self._logged[slot.entry.model] = (result, time.monotonic())
            log.warning("%s", message)
