"""Who brings numbers and targets to mean 0 and deviation 1: what a recipe leaves open, the net's arguments decide."""

from collections.abc import Mapping
from typing import Any

from maas.config.part import is_part, target_name, target_of
from maas.errors import ConfigError

OF_NUMBERS = ("number_means", "number_deviations")
OF_TARGET = ("target_mean", "target_deviation")
KEY, DOUBLE = "standardize", "double"


def leaves_scale(model: Any, names: tuple[str, str]) -> bool:
    """Returns whether a net takes mean and deviation by these names, and the recipe leaves both to be filled in.

    Args:
        model: the recipe's.
        names: `OF_NUMBERS` or `OF_TARGET`.
    """
    if not is_part(model) or any(name in model for name in names):
        return False
    try:
        parameters = target_of(target_name(model))[1]
    except ConfigError:
        return False  # a fault of its own, found by `check`
    return all(name in parameters for name in names)


def computes_in_double(model: Any) -> bool:
    """Returns whether a recipe's model is one of another framework that takes numbers of float64."""
    if not is_part(model):
        return False
    try:
        return bool(getattr(target_of(target_name(model))[0], "computes_in_double", False))
    except ConfigError:
        return False  # likewise


def with_standardize(processor: object, model: object) -> object:
    """Returns a recipe's processor with its open settings `standardize` and `double` filled in."""
    if not is_part(processor):
        return processor
    try:
        parameters: Mapping[str, Any] = target_of(target_name(processor))[1]
    except ConfigError:
        return processor  # likewise
    known = {KEY: leaves_scale(model, OF_NUMBERS), DOUBLE: computes_in_double(model)}
    return {**processor, **{key: known[key] for key in known if key in parameters and processor.get(key) is None}}
