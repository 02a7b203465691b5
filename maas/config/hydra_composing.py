"""What Hydra does for a recipe: it merges parts, the recipe and overrides into sections."""

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict

from maas.config.part import plain_of
from maas.config.recipe_files import CONF, GROUP, NamedRecipe, RecipeSource, search_path
from maas.config.schema import REQUIRED, RunConfig
from maas.config.standardizing import with_standardize
from maas.config.strays import merged, without_leaks, without_strays
from maas.errors import ConfigError
from maas.suggesting import nearest_of

PRIMARY = "config"


def composed(overrides: Sequence[str], config_dir: str | Path | None = None, *, hydra: bool = False) -> DictConfig:
    """Lets Hydra compose; raises what Hydra and OmegaConf raise.

    Args:
        overrides: as they are typed; `recipe=` takes a name or a file.
        config_dir: the user's own parts and recipes.
        hydra: also return Hydra's own section, `hydra`.

    Raises:
        ConfigError: the recipe's file cannot be read, or `config_dir` is no folder.
    """
    with own_hydra():
        return hydra_compose(PRIMARY, hydra_overrides(overrides, config_dir), return_hydra_config=hydra)


@contextmanager
def own_hydra() -> Iterator[GlobalHydra]:
    """Initialises Hydra for maas's own `conf/`.

    Hydra's `compose` and launchers work on one object for the whole process. A caller's own Hydra application has it
    initialised already, and Hydra gives no other way to compose beside it: here, and nowhere else, it is put back.
    """
    Plugins.instance().register(RecipeSource)
    state = GlobalHydra.instance()
    outer = state.hydra
    state.clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            yield GlobalHydra.instance()
    finally:
        GlobalHydra.instance().hydra = outer


def hydra_overrides(overrides: Sequence[str], config_dir: str | Path | None = None) -> list[str]:
    """Returns overrides as Hydra takes them, and the search path of what they name.

    A recipe's file becomes an option of the group `recipe`, `registry=null` leaves the part out, and values that
    Hydra's grammar cannot read are quoted.

    Raises:
        ConfigError: the recipe's file cannot be read, or `config_dir` is no folder.
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"The config dir {config_dir} is not a folder. Name one that holds recipes/ or parts.")
    recipe = recipe_of(overrides, config_dir)
    places = ",".join(_quoted(one) for one in search_path(recipe, config_dir))
    return [*(_as_hydra_takes(override, recipe) for override in overrides), f"hydra.searchpath=[{places}]"]


def recipe_of(overrides: Sequence[str], config_dir: str | Path | None = None) -> NamedRecipe | None:
    """Returns the recipe that overrides name; None for none.

    Raises:
        ConfigError: its file cannot be read.
    """
    named = [value for key, _, value in (override.partition("=") for override in overrides) if key == GROUP]
    return NamedRecipe.of(named[-1], config_dir) if named and named[-1] not in ("", "null") else None


def _as_hydra_takes(override: str, recipe: NamedRecipe | None) -> str:
    key, _, value = override.partition("=")
    if key == GROUP and recipe is not None:
        return f"{GROUP}={recipe.name}"
    if value == "null" and key != GROUP and (CONF / key).is_dir():
        return f"~{key}"
    if re.match(r"\+[^+@]*\.", key):  # of a part that the recipe has replaced, Hydra knows the keys before that, too
        override, key = f"+{override}", f"+{key}"
    if not value.isascii() and not value.startswith(("'", '"', "[", "{")):  # Hydra's grammar knows ASCII words alone
        return f"{key}={_quoted(value)}"
    return override


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "\\'") + "'"


def config_of(
    composed: DictConfig,
    overrides: Sequence[str],
    config_dir: str | Path | None = None,
    sections: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Turns what Hydra composed into a `RunConfig`, interpolations resolved.

    Args:
        composed: with Hydra's own section.
        overrides: that it was composed by, as they were typed.
        config_dir: the user's own parts and recipes.
        sections: set in Python; a mapping changes a section, and one that names a `_target_` takes its place.

    Raises:
        ConfigError: values that must be given are missing; all are named.
    """
    given = sections or {}
    with open_dict(composed):
        for section, node in given.items():
            base = composed.get(section)
            raw = OmegaConf.to_container(base) if OmegaConf.is_config(base) else base
            composed[section] = plain_of(merged(raw, node))
    names = [entry.name for entry in fields(RunConfig)]
    content = sections_of(composed, overrides, config_dir, names, given)
    content["processor"] = with_standardize(content.get("processor"), content.get("model"))
    changed = [override for override in overrides if not override.startswith(f"{GROUP}=")]
    return RunConfig(**{**content, "overrides": tuple(changed)})


def sections_of(
    composed: DictConfig,
    overrides: Sequence[str],
    config_dir: str | Path | None,
    names: Sequence[str],
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns sections of a composition, interpolations resolved, without what is not meant for their parts.

    Args:
        composed: with Hydra's own section.
        overrides: that it was composed by, as they were typed.
        config_dir: the user's own parts and recipes.
        names: of the sections.
        given: what was merged into the composition since.

    Raises:
        ConfigError: there are keys that no recipe has, or values are missing; all are named.
    """
    recipe = recipe_of(overrides, config_dir)
    layers = [*(recipe.layers(config_dir) if recipe else ()), *_layers_of(overrides), given or {}]
    choices = typing.cast("dict[str, object]", OmegaConf.to_container(composed.hydra.runtime.choices))
    content = _resolved(composed, names)
    for section in content:
        own = [layer[section] for layer in layers if isinstance(layer.get(section), Mapping)]
        content[section] = without_leaks(content[section], part_chosen(section, choices.get(section), config_dir), own)
    for section in {override.partition("=")[0] for override in overrides} & set(content):
        content[section] = without_strays(content[section], section, overrides)
    for section in {_left_out(override) for override in overrides} & set(content):
        content[section] = None  # whatever the recipe sets for the part that was left out
    return content


def part_chosen(section: str, choice: object, config_dir: str | Path | None = None) -> Mapping[str, Any]:
    """Returns the content of the files in `conf/`, or among the user's own parts, that a section is chosen from.

    Args:
        section: name of the group.
        choice: name of an option, or several.
        config_dir: the user's own parts.
    """
    content: dict[str, Any] = {}
    for name in choice if isinstance(choice, list) else [choice]:
        files = [Path(folder) / section / f"{name}.yaml" for folder in (CONF, *([config_dir] if config_dir else []))]
        file = next((file for file in files if file.is_file()), None)
        if file is not None:
            content |= typing.cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(file)))
    return content


def _resolved(composed: DictConfig, names: Sequence[str]) -> dict[str, Any]:
    """Returns the sections of a composition, interpolations resolved.

    Raises:
        ConfigError: there are keys that no recipe has, or values are missing; all are named.
    """
    known = [entry.name for entry in fields(RunConfig)]
    own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key in names])
    unknown = [key for key in map(str, composed) if key not in (*known, "hydra")]
    missing = sorted(OmegaConf.missing_keys(own))
    faults = [f"{key} is no key of the recipe.{nearest_of(key, known)}" for key in unknown]
    faults += [f"{key} is missing. Set {key}=…" for key in missing]
    if faults:
        raise ConfigError("\n".join(faults))
    absent = dict.fromkeys(key for key in REQUIRED if key in names)
    return absent | typing.cast("dict[str, Any]", OmegaConf.to_container(own, resolve=True))


def _layers_of(overrides: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yields what each override of a value sets, nested as in a recipe."""
    for override in overrides:
        key, equals, _ = override.lstrip("+").partition("=")
        if not equals or override.startswith("~") or (CONF / key).is_dir() or key.startswith(("hydra", GROUP)):
            continue
        node: object = OverridesParser.create().parse_override(_as_hydra_takes(override, None)).value()
        for name in reversed(key.split(".")):
            node = {name: node}
        yield typing.cast("Mapping[str, Any]", node)


def _left_out(override: str) -> str:
    """Returns the section that an override leaves out; empty where it does not."""
    key, _, value = override.partition("=")
    return override[1:] if override.startswith("~") else key if value == "null" else ""
