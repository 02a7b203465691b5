"""What a server serves at one moment as a record: another process that gets it serves the same."""

import msgspec

from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.rollout.records import RolloutState


class ServedSlot(msgspec.Struct, frozen=True):
    """A version that is served.

    Args:
        entry: as it was written.
        folder: of the bundle.
        name: name that callers use.
        version: version of the model.
        refused: version that may not have its place; empty for none.
    """

    entry: ModelEntry
    folder: str
    name: str
    version: str
    refused: str = ""

    @property
    def located(self) -> LocatedEntry:
        """The entry with its bundle."""
        return LocatedEntry(self.entry, self.folder, self.name, self.version)


class UnloadedModel(msgspec.Struct, frozen=True):
    """A version that an administrator unloaded.

    Args:
        entry: as it was written.
        name: name that callers used.
        version: version of the model.
    """

    entry: ModelEntry
    name: str
    version: str


class ServedModels(msgspec.Struct, frozen=True):
    """What a server serves.

    Args:
        slots: in order.
        unloaded: what it serves no more.
        default: name of the model that answers where a request names none; null for the first.
        rollouts: of its models.
    """

    slots: tuple[ServedSlot, ...] = ()
    unloaded: tuple[UnloadedModel, ...] = ()
    default: str | None = None
    rollouts: RolloutState = RolloutState()

    @property
    def follows_aliases(self) -> bool:
        """Whether a version of it may be replaced as an alias moves."""
        return any(slot.entry.alias for slot in self.slots)
