"""Finding the code behind a kind that a manifest names: a file in a folder of this package, never an import path."""

import importlib
import pkgutil
import reprlib
import typing
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

import msgspec
import numpy as np

from maas.errors import BundleError, one_line

_T = TypeVar("_T")
_REGISTERED: list[type] = []


def register_kind(made: type[_T]) -> type[_T]:
    """Lets bundles name a class of yours by its `kind`; use it as a decorator, and import its module before a bundle.

    A manifest names kinds, never modules: what is not shipped is found only where the caller brought it.
    """
    _REGISTERED.append(made)
    return made


def class_of(kind: object, base: type[_T], what: str) -> type[_T]:
    """Returns the class of a kind: the subclass of `base` that the kind's file defines.

    Args:
        kind: the name of a file beside that of `base`.
        base: the class of the folder's `base.py`.
        what: how messages call it.

    Raises:
        BundleError: there is no such kind.
    """
    package = base.__module__.rpartition(".")[0]
    kinds = sorted(
        {module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)} - {"base"}
    )
    if kind not in kinds:
        yours = (one for one in _REGISTERED if issubclass(one, base) and getattr(one, "kind", None) == kind)
        if (registered := next(yours, None)) is not None:
            return registered
        raise BundleError(
            f"The {what}'s kind is {reprlib.repr(kind)}; this version of maas knows {', '.join(kinds)}. Upgrade maas."
        )
    module = importlib.import_module(f"{package}.{kind}")
    (found,) = (one for one in vars(module).values() if _is_own(one, base, module.__name__))
    return found


def _is_own(value: object, base: type[_T], module: str) -> TypeGuard[type[_T]]:
    return isinstance(value, type) and issubclass(value, base) and value.__module__ == module


def settings_of_kind(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record without its kind."""
    return {name: value for name, value in record.items() if name != "kind"}


def require_settings(settings: Mapping[str, Any], part: type, what: str) -> None:
    """Requires that settings are such as a class declares for its arguments, their types and bounds.

    Args:
        settings: by argument.
        part: the class.
        what: how messages call it.

    Raises:
        BundleError: it has no such argument, or does not take this value.
    """
    hints = typing.get_type_hints(part.__init__, include_extras=True)  # type: ignore[misc]
    for name, value in settings.items():
        try:
            msgspec.convert(value.item() if isinstance(value, np.generic) else value, hints[name])
        except KeyError as error:
            raise BundleError(f"The {what} does not know the setting {reprlib.repr(name)}. Upgrade maas.") from error
        except (msgspec.ValidationError, TypeError) as error:
            setting = f"{name}={reprlib.repr(value)}"
            raise BundleError(f"The {what} cannot be made with {setting}: {one_line(error)}.") from error
