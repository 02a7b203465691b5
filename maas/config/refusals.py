"""What Hydra refused, as one line a fault, with what is required and what to do."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maas.config.faults import faults_of
from maas.config.hydra_composing import composed, config_of
from maas.config.part import DIRECTIVES, target_of
from maas.config.recipe_files import CONF, GROUP, recipe_names
from maas.errors import ConfigError
from maas.suggesting import hint_of, nearest_name, nearest_of

LAUNCHERS = {
    "joblib": ("hydra-joblib-launcher", "In a checkout of maas: pip install '.[sweep]'"),
    "submitit_local": ("hydra-submitit-launcher", "pip install hydra-submitit-launcher"),
    "submitit_slurm": ("hydra-submitit-launcher", "pip install hydra-submitit-launcher"),
}
"""Launchers of sweeps that are packages of their own, and how to install each."""


def refusals_of(
    error: Exception, overrides: Sequence[str], config_dir: str | Path | None = None, *, is_whole: bool = True
) -> str:
    """Turns a failed composition into one line a fault, all overrides evaluated, not just the first bad one.

    Args:
        error: what Hydra raised.
        overrides: the command line.
        config_dir: the user's own parts.
        is_whole: whether a whole recipe is composed, whose other faults are found, too.
    """
    choices = [override for override in overrides if _is_choice(override)]
    try:
        base = composed(choices, config_dir, hydra=True)
    except (HydraException, OmegaConfBaseException) as broken:
        return _sentence(broken, config_dir)
    lines = []
    good = list(choices)
    for override in overrides:
        if override in choices:
            continue
        try:
            composed([*choices, override], config_dir)
            good.append(override)
        except (HydraException, OmegaConfBaseException) as broken:
            lines.append(_fault_of_override(override, base, broken))
    if not is_whole:
        return "\n".join(lines or [_sentence(error, config_dir)])
    try:
        lines += faults_of(config_of(composed(good, config_dir, hydra=True), good, config_dir))
    except ConfigError as broken:
        lines.append(str(broken))
    except (HydraException, OmegaConfBaseException) as broken:
        lines.append(_sentence(broken, config_dir))
    return "\n".join(lines or [_sentence(error, config_dir)])


def _is_choice(override: str) -> bool:
    """Returns whether an override chooses a part (`data=csv`) instead of setting a value."""
    key = override.lstrip("+~").split("=")[0].split("@")[0]
    return key == GROUP or key.startswith("hydra/") or (CONF / key).is_dir()


def _fault_of_override(override: str, base: DictConfig, error: Exception) -> str:
    try:
        key = OverridesParser.create().parse_override(override).key_or_group
    except HydraException:
        return f"{override!r} is not an override; write key=value, and quote values with spaces or commas."
    if "." not in key and not nearest_name(key, base) and (near := _key_below(key, base)):
        return f"{key} is no key of the recipe. Did you mean {near}?"
    *parents, last = key.split(".")
    node: object = base
    for depth, name in enumerate(parents):
        if not isinstance(node, DictConfig) or name not in node:
            return f"{key} is no key of the recipe.{_known(name, node, parents[:depth])}"
        node = node[name]
    if isinstance(node, DictConfig) and last in node:
        reason = (str(error.__cause__ or error).splitlines() or [""])[0]
        return f"{override} cannot be set: {reason}."
    if isinstance(node, DictConfig) and "_target_" in node and last in _parameters(node["_target_"]):
        return f"{key} is not set in the recipe, but {node['_target_']} takes it: write +{override}"
    return f"{key} is no key of the recipe.{_known(last, node, parents)}"


def _key_below(name: str, base: DictConfig) -> str | None:
    """Returns the key of a section that is called like a word, such as `optimizer.lr` for `lr`; None for none."""
    sections = {str(key): node for key, node in base.items() if isinstance(node, DictConfig) and key != "hydra"}
    keys = [(section, str(key)) for section, node in sections.items() for key in node if key not in DIRECTIVES]
    below = {f"{section}.{key}": key for section, key in keys}
    near = nearest_name(name, below.values())
    return next((path for path, key in below.items() if key == near), None)


def _known(name: str, node: object, parents: Sequence[str]) -> str:
    if not isinstance(node, DictConfig):
        return ""
    prefix = "".join(f"{parent}." for parent in parents)
    known = [f"{prefix}{key}" for key in map(str, node) if key not in {*DIRECTIVES, "overrides", "hydra"}]
    if "_target_" in node:
        known += [f"{prefix}{key}" for key in _parameters(node["_target_"]) if f"{prefix}{key}" not in known]
    return nearest_of(f"{prefix}{name}", known)


def _parameters(target: str) -> list[str]:
    try:
        return list(target_of(target)[1])
    except ConfigError:
        return []


def _sentence(error: Exception, config_dir: str | Path | None) -> str:
    """Returns Hydra's or OmegaConf's message without its stack of contexts; an unknown choice lists what is known."""
    known_recipes = ", ".join(recipe_names(config_dir))
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    unknown = re.search(r"Could not find '(?P<group>[\w/]+)/(?P<name>[^'/]+)'", text)
    if unknown and unknown["group"] == "recipe":
        name = str(unknown["name"])
        hint = hint_of(name, recipe_names(config_dir))
        if Path(name).suffix:
            hint = f" Data of your own needs no recipe: maas run {name} target=COLUMN."
        return f"There is no recipe {name!r}. Set recipe=NAME; known are: {known_recipes}.{hint}"
    if unknown:
        if unknown["group"] == "hydra/launcher" and (missing := _missing_launcher(unknown["name"])):
            return missing
        group, known = unknown["group"], re.search(r"Available options in '[^']+': (?P<names>[\w ]+?) Config", text)
        there = known["names"].split() if known else []
        names = f"; known are: {', '.join(there)}." if known else "."
        return f"There is no {group} {unknown['name']!r}. Set {group}=NAME{names}{hint_of(unknown['name'], there)}"
    if "You must specify" in text:
        return f"No recipe was named. Set recipe=NAME; known are: {known_recipes}."
    cause = error.__cause__
    return f"{text} {str(cause).splitlines()[0]}" if isinstance(cause, OmegaConfBaseException) else text


def _missing_launcher(name: str) -> str | None:
    """Returns what to install for a `hydra/launcher` that Hydra does not find; None if no package is known for it."""
    if name not in LAUNCHERS:
        return None
    package, command = LAUNCHERS[name]
    return f"hydra/launcher={name} needs the package {package}, which is not installed. {command}"
