"""Where the models of entries lie: in folders, or in the registry, which is read without importing mlflow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from maas.errors import ConfigError
from maas.registry.reading.addresses import EVERY, MODELS, default_tracking_uri
from maas.serving import later
from maas.serving.entries import LocatedEntry, ModelEntry

if TYPE_CHECKING:
    from maas.registry.reading.readers import RegistryReader


@dataclass(eq=False)
class Locator:
    """Finds models; its methods wait for the registry, and belong into a thread where others must not wait.

    Args:
        tracking_uri: address of the registry.
    """

    tracking_uri: str = field(default_factory=default_tracking_uri)
    _reader: "RegistryReader | None" = None

    def expanded(self, entries: Iterable[ModelEntry]) -> Iterator[ModelEntry]:
        """Yields entries, in place of `models:/*@ALIAS` one for every registered model that has the alias.

        Raises:
            ConfigError: no model has it.
            RegistryError: the registry cannot be read.
        """
        for entry in entries:
            every = EVERY.fullmatch(entry.model)
            if every is None:
                yield entry
                continue
            names = self.reader.names_with(every["alias"])
            if not names:
                raise ConfigError(
                    f"No model in {self.tracking_uri} has the alias {every['alias']}. Name the registry by "
                    "MLFLOW_TRACKING_URI, or point the alias at a version."
                )
            for name in names:
                yield msgspec.structs.replace(entry, model=f"{MODELS}{name}@{every['alias']}")

    def located(self, entry: ModelEntry) -> LocatedEntry:
        """Returns an entry with the folder of its bundle on this machine.

        Raises:
            RegistryError: the registry does not have it, or cannot be read.
        """
        if not entry.is_registered:
            return LocatedEntry(entry, entry.model, entry.name, str(entry.version or "1"))
        found = self.reader.locate(entry.model)
        return LocatedEntry(entry, found.folder, entry.name or found.name, found.version)

    @property
    def reader(self) -> "RegistryReader":
        """Reads the registry."""
        if self._reader is None:
            self._reader = later.reader_of(self.tracking_uri)
        return self._reader

    def close(self) -> None:
        """Ends processes that read the registry."""
        if self._reader is not None:
            self._reader.close()
