"""Packages that only some sources need, imported where they are used."""

from importlib import import_module
from types import ModuleType

from maas.errors import ConfigError


def needed(module: str) -> ModuleType:
    """Imports a module of an optional package.

    Raises:
        ConfigError: the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigError(
            f"This model needs the package {package}, which is not installed. In a checkout of maas: "
            "pip install '.[import]'"
        ) from error
