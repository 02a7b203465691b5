"""Who brings numbers and targets to mean 0 and deviation 1: what a recipe leaves open, the net's arguments tell."""

from collections.abc import Mapping
from typing import Any

from maas.config.parts import is_part, target_of
from maas.errors import ConfigError

OF_NUMBERS = ("number_means", "number_deviations")
OF_TARGET = ("target_mean", "target_deviation")
KEY = "standardize"


def leaves_scale(model: Any, names: tuple[str, str]) -> bool:
    """Tells whether a net takes mean and deviation by these names, and the recipe leaves both to be filled in.

    Args:
        model: the recipe's.
        names: `OF_NUMBERS` or `OF_TARGET`.
    """
    if not is_part(model) or any(name in model for name in names):
        return False
    try:
        parameters = target_of(model["_target_"])[1]
    except ConfigError:
        return False  # a fault of its own, found by `check`
    return all(name in parameters for name in names)


def with_standardize(processor: Any, model: Any) -> Any:
    """Returns a recipe's processor with `standardize` filled in, where it has that setting and leaves it open."""
    if not is_part(processor) or processor.get(KEY) is not None:
        return processor
    try:
        parameters: Mapping[str, Any] = target_of(processor["_target_"])[1]
    except ConfigError:
        return processor  # likewise
    return {**processor, KEY: leaves_scale(model, OF_NUMBERS)} if KEY in parameters else processor
