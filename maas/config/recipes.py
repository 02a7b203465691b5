"""Where recipes and parts lie, and how Hydra comes to know them."""

import hashlib
import typing
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from maas.config.parts import DIRECTIVES, is_part, target_of
from maas.config.schema import RunConfig
from maas.config.standardizing import with_standardize
from maas.errors import ConfigError

_PACKAGE = Path(__file__).parent.parent
_SHIPPED = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent  # in a wheel, or in a checkout
CONF, RECIPES, CONSTRAINTS = _SHIPPED / "conf", _SHIPPED / "recipes", _PACKAGE / "constraints.txt"


def register(config_dir: str | Path | None = None) -> None:
    """Makes the schema, the shipped recipes and those below `config_dir` known to Hydra.

    Raises:
        ConfigError: `config_dir` is not a folder.
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"The config dir {config_dir} is not a folder. Name one that holds recipes/ or parts.")
    ConfigStore.instance().store(name="schema", node=RunConfig)
    for folder in [RECIPES, *([Path(config_dir) / "recipes"] if config_dir else [])]:
        for file in sorted(folder.glob("*.yaml")):
            register_file(str(file))


def register_file(recipe: str) -> str:
    """Makes one recipe file known to Hydra and returns its name; a plain name is returned as it is.

    Raises:
        ConfigError: the file cannot be read.
    """
    if not recipe.endswith((".yaml", ".yml")):
        return recipe
    path = Path(recipe)
    if not path.is_file():
        raise ConfigError(f"The recipe file {recipe} does not exist. Name a file, or a recipe: {', '.join(recipes())}.")
    try:
        node = OmegaConf.load(path)
    except Exception as error:  # a YAML error of whatever kind
        raise ConfigError(f"The recipe file {recipe} is not YAML: {error}") from error
    if not isinstance(node, DictConfig):
        raise ConfigError(f"The recipe file {recipe} holds a list; a recipe is a mapping of sections.")
    name = path.stem
    if not name.isascii() or name in (node.get("defaults") or ()):  # or it builds on the recipe that it is named as
        name = f"recipe_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    register_recipe(name, node)
    return name


def register_recipe(name: str, node: Any) -> None:
    """Makes a recipe known to Hydra that lies in no file.

    Args:
        name: of the recipe.
        node: its sections.
    """
    ConfigStore.instance().store(group="recipe", name=name, node=node, package="_global_", provider="maas")


def readied(override: str) -> str:
    """Returns an override as Hydra takes it: a recipe's file becomes its name, and `registry=null` leaves the part out.

    Raises:
        ConfigError: the recipe's file cannot be read.
    """
    key, _, value = override.partition("=")
    if key == "recipe":
        return f"recipe={register_file(value)}"
    if value == "null" and (CONF / key).is_dir():
        return f"~{key}"
    if not value.isascii() and not value.startswith(("'", '"', "[", "{")):  # Hydra's grammar knows ASCII words alone
        quoted = value.replace("'", "\\'")
        return f"{key}='{quoted}'"
    return override


def recipes() -> list[str]:
    """Returns the names of the recipes that are known."""
    group = ConfigStore.instance().repo.get("recipe", {})
    return sorted(Path(name).stem for name in group)


def composed(overrides: Sequence[str], config_dir: str | Path | None = None, *, hydra: bool = False) -> DictConfig:
    """Lets Hydra compose, its own section `hydra` as well if asked for; raises what Hydra and OmegaConf raise."""
    extra = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    outer = GlobalHydra.instance().hydra  # set inside an entry, or in a user's own Hydra application
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", [*overrides, *extra], return_hydra_config=hydra)
    finally:
        GlobalHydra.instance().hydra = outer


def finish(composed: DictConfig, overrides: Sequence[str]) -> RunConfig:
    """Turns what Hydra composed into a `RunConfig`, interpolations resolved.

    Raises:
        ConfigError: values that must be given are missing; all are named.
    """
    missing = [key for key in sorted(OmegaConf.missing_keys(composed)) if not key.startswith("hydra.")]
    if missing:
        raise ConfigError("\n".join(f"{key} is missing. Set {key}=…" for key in missing))
    keys = {entry.name for entry in fields(RunConfig)}
    own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key in keys])
    content = typing.cast("dict[str, Any]", OmegaConf.to_container(own, resolve=True))
    for section in {override.partition("=")[0] for override in overrides} & set(keys):
        content[section] = _without_strays(content[section], section, overrides)
    for section in {override[1:] for override in overrides if override.startswith("~")} & set(keys):
        content[section] = None  # whatever the recipe sets for the part that was left out
    content["processor"] = with_standardize(content.get("processor"), content.get("model"))
    given = [override for override in overrides if not override.startswith("recipe=")]
    return RunConfig(**{**content, "overrides": given})


def _without_strays(part: Any, section: str, overrides: Sequence[str]) -> Any:
    """Leaves out what the recipe sets for the part that the command line has swapped for this one.

    `optimizer=adam` on a recipe that sets `momentum` for SGD means Adam without it; `optimizer.momentum=…` on the same
    command line stays, and is found to be a fault.
    """
    if not is_part(part):
        return part
    try:
        parameters = target_of(part["_target_"])[1]
    except ConfigError:
        return part  # a fault of its own, found by `check`
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return part
    set_here = {override.lstrip("+").partition("=")[0] for override in overrides}
    return {
        key: value
        for key, value in part.items()
        if key in parameters or key in DIRECTIVES or f"{section}.{key}" in set_here
    }
