"""Places for versions of models: what is configured of each, and the snapshot that all of them make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maas.errors import ConfigError
from maas.serving.repository.deployments import Deployment, Snapshot, VersionLabel


@dataclass(frozen=True)
class EngineSettings:
    """How models are run.

    Args:
        batch_size: largest number of rows in one run, instead of the bundle's.
        threads: ONNX Runtime's intra-op threads, instead of the bundle's.
        max_queue: largest number of rows that may wait for a model; one call takes at most half of them.
        max_pixels: largest picture that is decoded; null for as large as the formats' readers allow.
    """

    batch_size: int | None = None
    threads: int | None = None
    max_queue: int = 2048
    max_pixels: int | None = None

    def changed(self, batch_size: int | None, threads: int | None, max_queue: int | None) -> "EngineSettings":
        """Returns settings with other values where there are any."""
        return replace(
            self,
            batch_size=batch_size or self.batch_size,
            threads=threads or self.threads,
            max_queue=max_queue or self.max_queue,
        )


@dataclass(eq=False)
class Slot:
    """A place for one version of a model; another version may take it.

    Args:
        deployment: what has the place now.
        labels: names of the version.
        is_default: whether the version answers where a request names its model and no version.
        settings: how models are run here.
    """

    deployment: Deployment
    labels: tuple[str, ...]
    is_default: bool
    settings: EngineSettings


def snapshot_from(slots: Sequence[Slot], default: str | None) -> Snapshot:
    """Returns the snapshot of what some slots hold.

    Args:
        slots: in the order in which they were named.
        default: name of the model that answers where a request names none; the first slot's if null.
    """
    names = list(dict.fromkeys(slot.deployment.name for slot in slots))

    def place(slot: Slot) -> tuple[bool, int, bool]:
        name = slot.deployment.name
        return name != default, names.index(name), not slot.is_default

    order = sorted(slots, key=place)
    labels = [
        VersionLabel(slot.deployment.name, label, slot.deployment.version) for slot in order for label in slot.labels
    ]
    return Snapshot(tuple(dict.fromkeys(slot.deployment for slot in order)), tuple(dict.fromkeys(labels)))


def require_new(slot: Slot, slots: Sequence[Slot]) -> None:
    """Refuses a slot that contradicts others.

    Raises:
        ConfigError: its version is served already, or another version has its label, or is the default as well.
    """
    one = slot.deployment
    for other in slots:
        two = other.deployment
        if one.name != two.name:
            continue
        if one.version == two.version:
            raise ConfigError(
                f"{one.name} version {one.version} is named twice: {two.bundle.folder} and {one.bundle.folder}. Give "
                "one a name of its own (model=NAME=FOLDER), or another version in a file of models."
            )
        both = f"versions {two.version} and {one.version} of {one.name}"
        if shared := [label for label in slot.labels if label in other.labels]:
            raise ConfigError(f"Label {shared[0]} names {both}. Leave it to one of them.")
        if slot.is_default and other.is_default:
            raise ConfigError(f"Both {both} are the default. Leave that to one of them.")
