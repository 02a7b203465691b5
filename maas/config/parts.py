"""Parts: mappings whose `_target_` names a callable and whose other keys are its arguments."""

import inspect
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate

from maas.errors import ConfigError, MaasError

DIRECTIVES = frozenset({"_target_", "_partial_", "_recursive_", "_convert_", "_args_"})
REFUSAL_OF_LIGHTNING = "MisconfigurationException"
"""What Lightning's parts raise of arguments; Lightning is not imported here."""


def is_part(node: Any) -> bool:
    """Tells whether a node of a recipe is a part."""
    return isinstance(node, Mapping) and "_target_" in node


def imported(name: str) -> Any:
    """Imports what a name stands for.

    Raises:
        ConfigError: there is no such thing, or it cannot be imported.
    """
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise _not_importable(name, error) from error


def target_of(name: str) -> tuple[Any, Mapping[str, inspect.Parameter]]:
    """Imports what a `_target_` names.

    Returns:
        The callable and its parameters by name.

    Raises:
        ConfigError: it cannot be imported or called.
    """
    target = imported(name)
    try:
        return target, inspect.signature(target).parameters
    except (ValueError, TypeError) as error:
        raise _not_importable(name, error) from error


def _not_importable(name: str, error: Exception) -> ConfigError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return ConfigError(f"{name!r} cannot be imported: {reason}. Name an importable class or function.")


def build(part: Any, path: str, /, *arguments: Any, **more: Any) -> Any:
    """Calls a part.

    Args:
        part: a mapping with a `_target_`.
        path: where it stands in the recipe, for messages.
        arguments: given to it first.
        more: given to it by name.

    Raises:
        ConfigError: the part refused its arguments.
    """
    try:
        return instantiate(part, *arguments, _convert_="all", **more)
    except HydraException as error:
        cause: BaseException | None = error
        while isinstance(cause, HydraException):
            cause = cause.__cause__
        if isinstance(cause, MaasError):
            raise cause from error
        if not isinstance(cause, TypeError | ValueError) and type(cause).__name__ != REFUSAL_OF_LIGHTNING:
            raise
        raise ConfigError(f"{path} was refused by {part['_target_']}: {cause}") from error
