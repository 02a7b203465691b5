"""Composing a recipe in Python."""

from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from maas.config.faults import check, explain
from maas.config.recipes import composed, finish, readied, register
from maas.config.schema import RunConfig
from maas.errors import ConfigError


def compose(recipe: str, *overrides: str, config_dir: str | Path | None = None) -> RunConfig:
    """Composes a recipe and checks it.

    Args:
        recipe: a recipe's name, or the path of a recipe file.
        overrides: `key=value`, as on the command line.
        config_dir: a folder with parts (`data/mine.yaml`) and recipes (`recipes/mine.yaml`) of one's own.

    Returns:
        The checked recipe.

    Raises:
        ConfigError: all faults that were found, a line each.

    Example:
        >>> compose("digits_mlp", "trainer.max_epochs=1").trainer["max_epochs"]
        1
    """
    register(config_dir)
    arguments = [readied(override) for override in (f"recipe={recipe}", *overrides)]
    try:
        config = finish(composed(arguments, config_dir), arguments)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, arguments, config_dir)) from error
    check(config)
    return config
