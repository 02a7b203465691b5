"""What is printed of a recipe instead of doing anything: the composed recipe, and what Hydra knows of itself."""

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maas.command_line import CommandLine
from maas.config.hydra_composing import PRIMARY, composed, hydra_overrides, own_hydra
from maas.config.refusals import refusals_of
from maas.credentials import without_credentials
from maas.errors import ConfigError, visible_cause


def view_of(line: CommandLine) -> str:
    """Returns the composed recipe as YAML, as `--cfg` of Hydra prints it, without the credentials of its addresses.

    Args:
        line: that requests it.

    Raises:
        ConfigError: the recipe cannot be composed, or has no such package.
    """
    try:
        config = composed(line.overrides, line.config_dir, hydra=line.view != "job")
        if line.view == "hydra":
            config = OmegaConf.masked_copy(config, ["hydra"])
        node = OmegaConf.select(config, line.package) if line.package else config
        if node is None:
            raise ConfigError(f"The recipe has no package {line.package}. Name a section, e.g. --package optimizer.")
        content = OmegaConf.to_yaml(node, resolve=line.resolves).rstrip("\n")
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(refusals_of(error, line.overrides, line.config_dir)) from visible_cause(error)
    content = without_credentials(content)
    return f"# @package {line.package}\n{content}" if line.package else content


def hydra_info(line: CommandLine) -> None:
    """Prints what `--info` of Hydra prints.

    Args:
        line: that requests it.

    Raises:
        ConfigError: the recipe cannot be composed.
    """
    try:
        with own_hydra() as state:
            if state.hydra is not None and line.info is not None:
                overrides = hydra_overrides(line.overrides, line.config_dir)
                state.hydra.show_info(info=line.info, config_name=PRIMARY, overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(refusals_of(error, line.overrides, line.config_dir)) from visible_cause(error)
