"""Places for versions of models: what is configured of each, and the snapshot that all of them make."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from maas.errors import ConfigError
from maas.runtime.searched_rows import MOST_BEAMS
from maas.serving.entries import ModelEntry
from maas.serving.repository.deployments import Deployment, GeneratingDeployment, PredictingDeployment
from maas.serving.repository.snapshots import Snapshot, VersionLabel


class EngineSettings(Struct, frozen=True):
    """How models are run.

    Args:
        batch_size: largest number of rows in one run, instead of the bundle's.
        threads: ONNX Runtime's intra-op threads, instead of the bundle's.
        max_queue: largest number of rows that may wait for a model; one call takes at most half of them.
        max_wait_s: time that rows may wait for a model, in seconds; null for no limit but `max_queue`.
        max_pixels: largest picture that is decoded; null for as large as the formats' readers allow.
        context_length: most tokens of a prompt and its text, where the model's own context is longer.
        max_beams: most beams of a text, where a model searches for it.
        cores: processors for several runs of a model at one time; null for all that this process may use.
    """

    batch_size: int | None = None
    threads: int | None = None
    max_queue: int = 2048
    max_wait_s: float | None = None
    max_pixels: int | None = None
    context_length: int | None = None
    cores: int | None = None
    max_beams: int = MOST_BEAMS

    def changed_by(self, entry: ModelEntry) -> "EngineSettings":
        """Returns the settings with an entry's own in their place."""
        return replace(
            self,
            batch_size=entry.batch_size or self.batch_size,
            threads=entry.threads or self.threads,
            max_queue=entry.max_queue or self.max_queue,
            max_wait_s=entry.max_wait_s or self.max_wait_s,
        )


@dataclass(eq=False)
class Slot:
    """A place for one version of a model; another version may take it.

    Args:
        entry: what is to be served here.
        settings: how it is run.
        deployment: what has the place now.
        refused: version that may not have the place, since it does not predict as it did when it was made.
    """

    entry: ModelEntry
    settings: EngineSettings
    deployment: Deployment
    refused: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the version that has the place."""
        return (*self.entry.labels, *filter(None, [self.entry.alias]))


def snapshot_from(slots: Sequence[Slot], default: str | None) -> Snapshot:
    """Returns the snapshot of what some slots hold.

    Args:
        slots: in the order in which they were named.
        default: name of the model that answers where a request names none; the first slot's if null.
    """
    names = list(dict.fromkeys(slot.deployment.name for slot in slots))

    def place(slot: Slot) -> tuple[bool, int, bool]:
        name = slot.deployment.name
        return name != default, names.index(name), not slot.entry.default

    order = sorted(slots, key=place)
    labels = [
        VersionLabel(slot.deployment.name, label, slot.deployment.version) for slot in order for label in slot.labels
    ]
    served = dict.fromkeys(slot.deployment for slot in order)
    return Snapshot(
        tuple(one for one in served if isinstance(one, PredictingDeployment)),
        tuple(dict.fromkeys(labels)),
        tuple(one for one in served if isinstance(one, GeneratingDeployment)),
    )


def require_new(slot: Slot, slots: Sequence[Slot]) -> None:
    """Refuses a slot that contradicts others.

    Two aliases may point at one version; it then has two slots, and one engine.

    Raises:
        ConfigError: its version is named already, or another version has its label, or is the default as well.
    """
    one = slot.deployment
    for other in slots:
        two = other.deployment
        if one.name != two.name:
            continue
        if one.version == two.version and (one is not two or slot.entry.alias == other.entry.alias):
            raise ConfigError(
                f"{one.name} version {one.version} is named twice: {other.entry.model} and {slot.entry.model}. Give "
                "one a name of its own (model=NAME=FOLDER), or another version in a file of models."
            )
        both = f"versions {two.version} and {one.version} of {one.name}"
        if shared := [label for label in slot.labels if label in other.labels]:
            raise ConfigError(f"Label {shared[0]} names {both}. Leave it to one of them.")
        if slot.entry.default and other.entry.default:
            raise ConfigError(f"Both {both} are the default. Leave that to one of them.")
