"""The loop of a sweep that learns: the study proposes trials, a launcher runs them, the study learns their values."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maas.config.hydra_composing import composed
from maas.config.refusals import refusals_of
from maas.scoring.names import is_loss
from maas.searching.studies import Dimension, Study
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.plan import PlannedSweep
from maas.sweeping.settings import SweepSettings
from maas.sweeping.space import own_value, plain

log = logging.getLogger("maas")
Launch = Callable[[list[list[str]]], None]


def search(plan: PlannedSweep, settings: SweepSettings, folder: SweepFolder, launch: Launch) -> None:
    """Runs trials until there are as many as requested; those of a sweep that was killed before are counted.

    Args:
        plan: the space, and the recipe.
        settings: how many trials, and by which sampler.
        folder: keeps what trials give.
        launch: runs trials, given by their overrides, and waits for them; what they give lies in the folder.
    """
    dimensions = plan.space.dimensions
    own = own_values(dimensions, plan.composed)
    if own is None:
        log.info("sweep     the recipe's own values lie outside of the space, and are not tried")
    study = Study(
        folder.journal,
        dimensions,
        sampler=settings.sampler,
        n_trials=settings.n_trials,
        seed=plan.base.seed,
        own=own,
        is_smaller_better=is_loss(str(plan.base.metric)),
    )
    if study.started:
        log.info("sweep     %s of %s trials were begun before", study.started, study.limit)
    batch = settings.batch(plan.launcher())
    while proposed := study.ask(batch):
        trials = {number: [*plan.fixed, *_overrides(values)] for number, values in proposed.items()}
        composable = {number: one for number, one in trials.items() if _composes(one, plan.config_dir, folder)}
        values = _launched(list(composable.values()), launch, folder)
        given = dict(zip(composable, values, strict=True))
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
        own = own_value(dimension, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
        if own is None:
            return None
        found[key] = own
    return found


def _overrides(values: Mapping[str, str | float]) -> Iterable[str]:
    return (f"{key}={value}" for key, value in values.items())


def _composes(overrides: list[str], config_dir: str | None, folder: SweepFolder) -> bool:
    """Returns whether Hydra can compose a trial; one that it cannot is kept as failed."""
    try:
        composed(overrides, config_dir)
    except (HydraException, OmegaConfBaseException) as error:
        folder.keep(TrialRecord(overrides, None, refusals_of(error, overrides, config_dir)))
        return False
    return True


def _launched(trials: list[list[str]], launch: Launch, folder: SweepFolder) -> list[float | None]:
    """Returns what each trial gave; None for one that failed, or that was lost with the process that ran it."""
    try:
        launch(trials)
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when a process or a machine dies
        reason = f"its process was lost: {str(error).partition(chr(10))[0]}"
        lost = [one for one in trials if folder.trial(one) is None]
        for overrides in lost:
            folder.keep(TrialRecord(overrides, None, reason))
        log.warning("sweep     %s of %s trials: %s", len(lost), len(trials), reason)
    found = map(folder.trial, trials)
    return [None if one is None or one.value is None or math.isnan(one.value) else one.value for one in found]
