"""Keys that a section keeps of a part that another one has taken the place of, and that are not meant for it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from maas.config.part import DEFERRED, DIRECTIVES, TARGET, is_part, target_name, target_of
from maas.errors import ConfigError


class Whole(dict[str, Any]):
    """A part that takes the place of the one before, whatever that is."""


def merged(base: object, layer: object) -> object:
    """Returns a node with what a later layer sets; a part with another `_target_` takes the place of the one before.

    Args:
        base: the node as it is.
        layer: plain values, lists and mappings.
    """
    if not isinstance(base, Mapping) or not isinstance(layer, Mapping):
        return layer
    if isinstance(layer, Whole) or _replaces(layer, base):  # whether the section's stage gives the rest stays as it is
        return {**{key: base[key] for key in (DEFERRED,) if key in base}, **layer}
    return {**base, **{key: merged(base.get(key), value) for key, value in layer.items()}}


def without_leaks(node: object, chosen: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> object:
    """Leaves out what the chosen part sets where a recipe names another `_target_` in its place.

    Args:
        node: the section as Hydra merged it, key by key.
        chosen: the part that the section began with.
        layers: what recipes and command line set in the section, in the order of merging.
    """
    meant: object = chosen
    for layer in layers:
        meant = merged(meant, layer)
    return _kept(node, meant, [chosen, *layers])


def without_strays(part: object, section: str, overrides: Sequence[str]) -> object:
    """Leaves out what the recipe sets for the part that the command line has swapped for this one.

    `optimizer=adam` on a recipe that sets `momentum` for SGD means Adam without it; `optimizer.momentum=…` on the same
    command line stays, and is found to be a fault.
    """
    if not is_part(part):
        return part
    try:
        parameters = target_of(target_name(part))[1]
    except ConfigError:
        return part  # a fault of its own, found by `check`
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return part
    set_here = {override.lstrip("+").partition("=")[0] for override in overrides}
    return {
        key: value
        for key, value in part.items()
        if key in parameters or key in DIRECTIVES or f"{section}.{key}" in set_here
    }


def _replaces(layer: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    return TARGET in layer and TARGET in base and layer[TARGET] != base[TARGET]


def _kept(node: object, meant: object, steps: Sequence[object], *, is_replaced: bool = False) -> object:
    """Returns a node with the keys that it is meant to have, where some part at it or above it was replaced.

    Args:
        node: merged key by key.
        meant: merged part by part.
        steps: what was merged.
        is_replaced: whether a part above it was replaced.
    """
    if not isinstance(node, Mapping) or not isinstance(meant, Mapping):
        return node
    mappings = [step for step in steps if isinstance(step, Mapping)]
    is_replaced = is_replaced or len({step[TARGET] for step in mappings if TARGET in step}) > 1
    return {
        key: _kept(value, meant.get(key), [one[key] for one in mappings if key in one], is_replaced=is_replaced)
        for key, value in node.items()
        if key in meant or not is_replaced
    }
