"""The loop of a sweep that learns: ask the study for trials, launch them together, tell the study what they gave."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maas.config import explain
from maas.errors import ConfigError
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.settings import Settings
from maas.sweeping.space import Dimension, Space, plain
from maas.sweeping.study import Study

log = logging.getLogger("maas")
Compose = Callable[[list[str]], object]
Launch = Callable[[list[list[str]], int], Sequence[JobReturn]]


def search(arguments: Sequence[str], settings: Settings, config: DictConfig, compose: Compose, launch: Launch) -> None:
    """Runs trials until there are as many as asked for; those of a killed sweep before are counted.

    Args:
        arguments: the command line's overrides.
        settings: how many trials, and by which sampler.
        config: what Hydra composed without the swept keys.
        compose: composes a trial's overrides; raises what Hydra raises.
        launch: runs trials, given by their overrides and the number of the first, and waits for them.
    """
    space, folder = Space.read(arguments), SweepFolder(Path(config.hydra.sweep.dir))
    own = own_values(space.dimensions, config)
    if own is None:
        log.info("sweep     the recipe's own values lie outside of the space, and are not tried")
    study = Study(folder.journal, space.dimensions, settings, int(config.seed), own)
    if study.started:
        log.info("sweep     %s of %s trials were begun before", study.started, study.limit)
    batch, launched = settings.batch(config.hydra.launcher), 0
    while asked := study.ask(batch):
        trials = {number: [*space.fixed, *_overrides(values)] for number, values in asked.items()}
        composed = {number: one for number, one in trials.items() if _composes(one, compose, folder)}
        values = _launched(list(composed.values()), launch, launched, folder)
        launched += len(composed)
        given = dict(zip(composed, values, strict=True))
        for number in trials:
            study.tell(number, given.get(number))


def own_values(dimensions: Mapping[str, Dimension], config: DictConfig) -> dict[str, str | float] | None:
    """Returns the recipe's own value of each swept key; None where one of them does not lie in the space.

    Args:
        dimensions: what each key varies over.
        config: what Hydra composed without the swept keys.
    """
    found: dict[str, str | float] = {}
    for key, dimension in dimensions.items():
        choice = config.hydra.runtime.choices.get(plain(key))
        value = choice if choice is not None else OmegaConf.select(config, plain(key))
        own = dimension.of(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
        if own is None:
            return None
        found[key] = own
    return found


def _overrides(values: Mapping[str, str | float]) -> Iterable[str]:
    return (f"{key}={value}" for key, value in values.items())


def _composes(overrides: list[str], compose: Compose, folder: SweepFolder) -> bool:
    """Tells whether Hydra can compose a trial; one that it cannot is kept as failed."""
    try:
        compose(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        folder.keep(TrialRecord(overrides, None, explain(error, overrides)))
        return False
    return True


def _launched(trials: list[list[str]], launch: Launch, first: int, folder: SweepFolder) -> list[float | None]:
    """Returns what each trial gave; None for one that failed, or that was lost with the process that ran it."""
    if not trials:
        return []
    try:
        values = [job.return_value for job in launch(trials, first)]
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when a process or a machine dies
        reason = f"its process was lost: {str(error).partition(chr(10))[0]}"
        lost = [one for one in trials if folder.trial(one) is None]
        for overrides in lost:
            folder.keep(TrialRecord(overrides, None, reason))
        log.warning("sweep     %s of %s trials: %s", len(lost), len(trials), reason)
        return [record.value for record in map(folder.trial, trials) if record is not None]
    if None in values:
        raise ConfigError("This stage gives no metric to choose by. Sweep maas.train or maas.run.")
    return [None if math.isnan(value) else value for value in values]
