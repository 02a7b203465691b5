"""Finding the code behind a kind that a manifest names: a file in a folder of this package, never an import path."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from maas.errors import BundleError


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
            f"The {what}'s kind is {kind!r}; this version of maas knows {', '.join(kinds)}. Upgrade maas."
        )
    settings = {name: value for name, value in record.items() if name != "kind"}
    return importlib.import_module(f"{package}.{kind}"), settings
