"""Finding the code behind a kind that a manifest names: a file in a folder of this package, never an import path."""

import importlib
import pkgutil
import reprlib
import typing
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from maas.errors import BundleError, one_line


def opened(record: Mapping[str, Any], package: str, what: str) -> tuple[ModuleType, dict[str, Any]]:
    """Returns the module of a record's kind, and the record's settings.

    Args:
        record: its `kind` and settings.
        package: the folder whose files are the kinds; `base` is none.
        what: how messages call it.

    Raises:
        BundleError: there is no such kind.
    """
    folder = importlib.import_module(package).__path__
    kinds = sorted({module.name for module in pkgutil.iter_modules(folder)} - {"base"})
    kind = record.get("kind")
    if kind not in kinds:
        raise BundleError(
            f"The {what}'s kind is {reprlib.repr(kind)}; this version of maas knows {', '.join(kinds)}. Upgrade maas."
        )
    settings = {name: value for name, value in record.items() if name != "kind"}
    return importlib.import_module(f"{package}.{kind}"), settings


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
