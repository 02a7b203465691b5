"""Composing a recipe: from its name and what is changed to one checked `RunConfig`."""

from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from maas.config.faults import check, faults_in
from maas.config.hydra_composing import composed, config_of, sections_of
from maas.config.in_memory import node_of
from maas.config.part import value_of
from maas.config.recipe_files import GROUP
from maas.config.refusals import refusals_of
from maas.config.schema import RunConfig
from maas.errors import ConfigError, visible_cause


def compose(recipe: str, *overrides: str, config_dir: str | Path | None = None, **sections: object) -> RunConfig:
    """Composes a recipe and checks it.

    Args:
        recipe: name of a recipe, or path of a recipe file.
        overrides: `key=value`, as on the command line.
        config_dir: folder of the user's own parts (`data/mine.yaml`) and recipes (`recipes/mine.yaml`).
        sections: values and sections by name: a mapping changes what the recipe sets, and takes its place where it
            names another `_target_`; a class, a `functools.partial` or an object whose arguments are known takes its
            place.

    Returns:
        The checked recipe.

    Raises:
        ConfigError: all faults that were found, a line each.

    Example:
        >>> compose("digits_mlp", "trainer.max_epochs=1", optimizer={"lr": 0.5}).optimizer["lr"]
        0.5
    """
    return composed_config([f"{GROUP}={recipe}", *overrides], config_dir, **sections)


def require_texts(overrides: Sequence[object]) -> None:
    """Requires overrides as they are typed.

    Raises:
        ConfigError: one is no text.
    """
    if wrong := [one for one in overrides if not isinstance(one, str)]:
        raise ConfigError(f"An override is {wrong[0]!r}; it must be a text, e.g. 'batch_size=32'.")


def composed_sections(
    sections: Sequence[str], overrides: Sequence[str], config_dir: str | Path | None = None
) -> dict[str, object]:
    """Composes some sections without a recipe, from what they usually are and overrides, and checks them.

    Args:
        sections: names of plain values and parts.
        overrides: `key=value`, as on the command line.
        config_dir: folder of the user's own parts.

    Raises:
        ConfigError: all faults that were found, a line each.
    """
    given = [f"~{GROUP}", *overrides]
    try:
        content = sections_of(composed(given, config_dir, hydra=True), given, config_dir, sections)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(refusals_of(error, given, config_dir, is_whole=False)) from visible_cause(error)
    nodes = {name: value_of(content[name], name) for name in sections}
    faults = [fault for name in sections for fault in faults_in(nodes[name], name)]
    if faults:
        raise ConfigError("\n".join(faults))
    return nodes


def composed_config(overrides: Sequence[str], config_dir: str | Path | None = None, **sections: object) -> RunConfig:
    """Composes a recipe that a command line names, and checks it.

    Args:
        overrides: as they are typed, `recipe=` among them.
        config_dir: folder of the user's own parts and recipes.
        sections: as `compose` takes them.

    Raises:
        ConfigError: all faults that were found, a line each.
    """
    require_texts(overrides)
    nodes = {name: node_of(value, name) for name, value in sections.items()}
    try:
        config = config_of(composed(overrides, config_dir, hydra=True), overrides, config_dir, nodes)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(refusals_of(error, overrides, config_dir)) from visible_cause(error)
    check(config)
    return config
