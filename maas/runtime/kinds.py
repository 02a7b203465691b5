"""Finding the code behind a kind that a manifest names: a file in a folder of this package, never an import path."""

import importlib
import os
import reprlib
import typing
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

import msgspec
import numpy as np

from maas.errors import BundleError, ConfigError, one_line
from maas.runtime import later

KINDS = "MAAS_KINDS"
"""Environment variable: modules, separated by commas, that register kinds of yours in every process of maas."""

_T = TypeVar("_T")
_REGISTERED: list[type] = []


def register_kind(made: type[_T]) -> type[_T]:
    """Lets bundles name a class of yours by its `kind`; use it as a decorator, and import its module before a bundle.

    A manifest names kinds, never modules: what is not shipped is found only where the caller brought it.
    """
    _REGISTERED.append(made)
    return made


def environment_with_kinds() -> dict[str, str]:
    """Returns this process's variables for one that it starts, which then finds the kinds that are registered here."""
    modules = {one.__module__: None for one in _REGISTERED if one.__module__ != "__main__"}
    named = ",".join(dict.fromkeys([*_named_modules(), *modules]))
    return {**os.environ, KINDS: named} if named else dict(os.environ)


def class_of(kind: object, base: type[_T], what: str) -> type[_T]:
    """Returns the class of a kind: the subclass of `base` that the kind's file defines, or that is registered for it.

    Args:
        kind: the name of a file beside that of `base`.
        base: the class of the folder's `base.py`.
        what: how messages call it.

    Raises:
        BundleError: there is no such kind.
        ConfigError: a module that `MAAS_KINDS` names cannot be imported.
    """
    found = shipped_class_of(kind, base) or registered_class_of(kind, base)
    if found is None:
        known = ", ".join(_shipped_kinds(_package_of(base)))
        raise BundleError(
            f"The {what}'s kind is {reprlib.repr(kind)}; this version of maas knows {known}. Upgrade maas, or, for a "
            f"kind of your own, import the module that registers it: {KINDS}=MODULE does so in every process."
        )
    return found


def shipped_class_of(kind: object, base: type[_T]) -> type[_T] | None:
    """Returns the class of a kind that a file beside that of `base` defines; None for other kinds."""
    if not isinstance(kind, str) or not kind.isidentifier() or kind == "base":
        return None
    name = f"{_package_of(base)}.{kind}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    (found,) = (one for one in vars(module).values() if _is_own(one, base, module.__name__))
    return found


def registered_class_of(kind: object, base: type[_T]) -> type[_T] | None:
    """Returns the class of a kind that the caller, or a module of `MAAS_KINDS`, registered; None where none did.

    Raises:
        ConfigError: a module cannot be imported.
    """
    for module in _named_modules():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"{KINDS} names the module {module}, which cannot be imported: {one_line(error)}. Put its folder on "
                "PYTHONPATH, or leave it out."
            ) from error
    found = (one for one in reversed(_REGISTERED) if issubclass(one, base) and getattr(one, "kind", None) == kind)
    return next(found, None)  # the newest: a notebook defines a class again and again


def _named_modules() -> list[str]:
    return [name for name in (one.strip() for one in os.environ.get(KINDS, "").split(",")) if name]


def _package_of(base: type) -> str:
    return base.__module__.rpartition(".")[0]


def _shipped_kinds(package: str) -> list[str]:
    folders = importlib.import_module(package).__path__
    return sorted({module.name for module in later.iter_modules(folders)} - {"base"})


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
