"""Sections that are given in Python: classes, and objects that can be made again from what is known of them.

A recipe is data: a checkpoint builds its net again, another process reads it, a digest says whether two are the same.
So an object stands for the part that makes its like.
"""

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from maas.config.part import POSITIONAL, TARGET, Part, imported
from maas.config.strays import Whole
from maas.errors import ConfigError

PLAIN = bool | int | float | str | None


def node_of(value: object, path: str) -> object:
    """Returns a value as a recipe writes it.

    Args:
        value: plain values, lists, mappings, parts, classes, functions, `functools.partial`, and objects of
            dataclasses, of `msgspec.Struct`, or with `get_params()` as scikit-learn's estimators have it.
        path: where it stands in the recipe.

    Raises:
        ConfigError: nothing can make the like of it again.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Part):
        return Whole(value.record())
    if isinstance(value, Mapping):
        return {str(key): node_of(one, f"{path}.{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [node_of(one, f"{path}[{index}]") for index, one in enumerate(value)]
    made, positional, arguments = _made_by(value, path)
    node: dict[str, object] = {TARGET: name_of(made, path)}
    node |= {POSITIONAL: node_of(positional, path)} if positional else {}
    return Whole(node | {key: node_of(one, f"{path}.{key}") for key, one in arguments.items()})


def name_of(value: Any, path: str) -> str:
    """Returns the import path of a class or a function.

    Args:
        value: a class or a function.
        path: where it stands in the recipe.

    Raises:
        ConfigError: it cannot be imported by its name.
    """
    if value.__module__ == "__main__":
        raise ConfigError(
            f"{path} is {value.__qualname__}, which this program or notebook defines, so no other process can build "
            "it. Write it into a module, in a notebook by %%writefile nets.py, and import it from there."
        )
    name = f"{value.__module__}.{value.__qualname__}"
    try:
        is_found = "<" not in name and imported(name) is value
    except ConfigError:
        is_found = False
    if not is_found:
        raise ConfigError(
            f"{path} is {value.__qualname__}, which cannot be imported as {name}. Define it at the top level of "
            "a module."
        )
    return name


def _made_by(value: object, path: str) -> tuple[object, tuple[object, ...], Mapping[str, object]]:
    """Returns what makes the like of an object: a callable, its positional arguments and those by name.

    Raises:
        ConfigError: nothing names them.
    """
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return value, (), {}
    if is_dataclass(value):
        return type(value), (), {one.name: getattr(value, one.name) for one in fields(value) if one.init}
    if isinstance(value, msgspec.Struct):
        return type(value), (), {name: getattr(value, name) for name in value.__struct_fields__}
    if callable(get_params := getattr(value, "get_params", None)):
        return type(value), (), get_params(deep=False)
    kind = type(value).__name__
    raise ConfigError(
        f"{path} is an object of {kind}, and how it was made is not known, so nothing could make it again. Give the "
        f"class and its arguments: {path}=functools.partial({kind}, …)."
    )
