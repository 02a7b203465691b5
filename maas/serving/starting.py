"""From the settings of a server to its models: entries are read and found, bundles opened, aliases followed."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from maas.serving import later
from maas.serving.entries import ModelEntry, entry_of
from maas.serving.executors import available_cores
from maas.serving.locating import Locator
from maas.serving.repository import EngineSettings, Repository
from maas.serving.repository.administration import Administration
from maas.serving.repository.keeping import CopyKeeper
from maas.serving.repository.watching import AliasWatcher
from maas.serving.settings import ServerSettings

if TYPE_CHECKING:
    from maas.serving.served_models import ServedModels


class ModelsObserver(Protocol):
    """Sees what becomes of models."""

    def observe_rows(self, model: str, version: str, rows: int) -> None:
        """Receives the number of rows of a run."""

    def observe_swap(self, model: str, result: str) -> None:
        """Receives what became of an alias that moved or cannot be read."""


@dataclass(frozen=True)
class ModelSource:
    """Where a server's models come from.

    Args:
        locator: finds models.
        served: what other processes serve already, in place of the settings' entries; null for the entries.
        watches: whether this process looks at the registry by itself again and again.
    """

    locator: Locator = field(default_factory=Locator)
    served: "ServedModels | None" = None
    watches: bool = True


def open_models(
    settings: ServerSettings, observer: ModelsObserver, source: ModelSource | None = None
) -> Administration:
    """Returns what administers a repository that serves the models of settings, and follows aliases once started.

    Args:
        settings: of the server.
        observer: sees runs and swaps.
        source: where models come from.

    Raises:
        BundleError: a bundle cannot be served.
        ConfigError: entries are wrong or contradict each other, or there is no default model of that name.
        RegistryError: the registry lacks a model, or cannot be read.
    """
    source = source or ModelSource()
    locator = source.locator
    common = EngineSettings(
        settings.batch_size,
        settings.threads,
        settings.max_queue,
        settings.max_wait_s,
        settings.max_pixels,
        settings.context_length,
        settings.cores or max(1, available_cores() // settings.workers),
        settings.max_beams,
    )
    repository = Repository(common, observer.observe_rows, settings.max_memory_bytes)
    watcher = AliasWatcher(repository, locator, settings.watch_s if source.watches else 0, observer.observe_swap)
    administration = Administration(repository, locator, partial(entries_of, settings), watcher)
    with ExitStack() as stack:
        stack.callback(locator.close)
        if source.served is not None:
            administration.restore(source.served)
        else:
            _open_entries(settings, repository, locator)
        stack.pop_all()
    repository.companions += [watcher, CopyKeeper(repository)]
    return administration


def _open_entries(settings: ServerSettings, repository: Repository, locator: Locator) -> None:
    entries, default = entries_of(settings)
    for entry in locator.expanded(entries):
        repository.add(locator.located(entry))
    if default is not None:
        repository.set_default(default)


def entries_of(settings: ServerSettings) -> tuple[list[ModelEntry], str | None]:
    """Returns the entries of settings and of their file, and the name of the default model.

    Raises:
        ConfigError: the file cannot be read, or entries are wrong.
    """
    entries = list(map(entry_of, settings.model))
    if settings.models is None:
        return entries, settings.default
    file = later.read_models_file(settings.models)
    return [*entries, *file.models], settings.default or file.default
