"""What a sweep is about to do, read and checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from maas.config import RunConfig, check, composed, explain, finish
from maas.errors import ConfigError
from maas.sweeping.settings import require_fitting
from maas.sweeping.space import Space


@dataclass(frozen=True)
class Plan:
    """A sweep that can be begun.

    Args:
        verb: of the entry.
        space: what is kept and what varies.
        base: the recipe with its own values of the swept keys.
        sweeper: the `hydra.sweeper` section.
    """

    verb: str
    space: Space
    base: RunConfig
    sweeper: dict[str, Any]

    @classmethod
    def read(cls, verb: str, overrides: Sequence[str], config_dir: str | None = None) -> "Plan":
        """Reads a command line and composes the recipe.

        Args:
            verb: of the entry.
            overrides: the command line.
            config_dir: the user's own parts.

        Raises:
            ConfigError: faults of the space or of the recipe, a line each.
        """
        space = Space.read(overrides)
        fixed = [*space.fixed, *(f"recipe={first}" for key, first in space.first.items() if key == "recipe")]
        try:
            base = composed(fixed, config_dir, hydra=True)
            composed(space.point, config_dir)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, space.point, config_dir)) from error
        sweeper = {str(key): value for key, value in base.hydra.sweeper.items()}
        require_fitting(sweeper, space)
        config = finish(base, [one for one in fixed if not one.startswith("hydra")])
        check(config)
        return cls(verb, space, config, sweeper)
