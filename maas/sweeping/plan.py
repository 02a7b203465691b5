"""What a sweep is about to do, read and checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maas.command_line import CommandLine
from maas.config import Part, RunConfig, check
from maas.config.hydra_composing import PRIMARY, composed, config_of, hydra_overrides, own_hydra
from maas.config.refusals import refusals_of
from maas.errors import ConfigError, visible_cause
from maas.overrides import key_of
from maas.sweeping.settings import SweepSettings, require_fitting
from maas.sweeping.space import SweepSpace

SEARCHED_BY = ("train", "run")
"""Entries whose stage returns a checkpoint, whose metric a sweep chooses by."""


@dataclass(frozen=True)
class PlannedSweep:
    """A sweep that can be begun.

    Args:
        verb: name of the entry.
        space: what is kept and what varies.
        base: the recipe with its own values of the swept keys.
        composed: the same, as Hydra composed it.
        config_dir: folder of the user's own parts and recipes.
        search: how trials are chosen where the sweep learns from them; None tries every combination.
    """

    verb: str
    space: SweepSpace
    base: RunConfig
    composed: DictConfig
    config_dir: str | None
    search: SweepSettings | None

    @classmethod
    def read(cls, line: CommandLine) -> "PlannedSweep":
        """Reads a command line and composes the recipe.

        Raises:
            ConfigError: faults of the space or of the recipe, a line each.
        """
        space, config_dir = SweepSpace.read(line.overrides), line.config_dir
        fixed = [*space.fixed, *(f"recipe={first}" for key, first in space.first.items() if key == "recipe")]
        try:
            base = composed(fixed, config_dir, hydra=True)
            composed(space.point, config_dir)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(refusals_of(error, space.point, config_dir)) from visible_cause(error)
        sweeper = {str(key): value for key, value in base.hydra.sweeper.items()}
        require_fitting(sweeper, space)
        is_search = sweeper["_target_"] == SweepSettings.target()
        if is_search and line.verb not in SEARCHED_BY:
            raise ConfigError("This stage gives no metric to choose by. Sweep maas.train or maas.run.")
        config = config_of(base, [one for one in fixed if not key_of(one).startswith("hydra")], config_dir)
        check(config)
        search = Part[SweepSettings].of(sweeper, "hydra.sweeper").build() if is_search else None
        return cls(line.verb, space, config, base, config_dir, search)

    @property
    def hydra(self) -> list[str]:
        """The overrides that say where trials run."""
        own = [one for one in self.space.fixed if key_of(one).startswith("hydra")]
        return [one for one in own if not (self.search and key_of(one).replace("/", ".").startswith("hydra.sweeper"))]

    @property
    def fixed(self) -> list[str]:
        """The overrides that every trial has."""
        return [one for one in self.space.fixed if not key_of(one).startswith("hydra")]

    def combinations(self) -> list[list[str]]:
        """Returns the overrides of every combination of listed values."""
        listed = [[f"{key}={value}" for value in self._values(key)] for key in self.space.written]
        return [[*self.fixed, *combination] for combination in product(*listed)]

    def _values(self, key: str) -> Sequence[str]:
        known = self.space.listed.get(key)
        if known is not None:
            return known
        with own_hydra() as state:  # a pattern over the names of a group
            overrides = hydra_overrides(self.fixed, self.config_dir)
            names = state.config_loader().get_group_options(key, config_name=PRIMARY, overrides=overrides)
        return self.space.globs[key].filter(names)

    def launcher(self) -> dict[str, object]:
        """Returns the `hydra.launcher` section."""
        return cast("dict[str, object]", OmegaConf.to_container(self.composed.hydra.launcher))
