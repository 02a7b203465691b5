"""Arguments that were typed for a model without a recipe, read as the class that takes them declares them.

No path is looked at here: whether there is such a file is found by what reads it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from maas.errors import ConfigError, one_line


def typed_arguments(kind: type, values: Mapping[str, str]) -> dict[str, Any]:
    """Returns what was typed for the arguments of a class, as their annotations require.

    Args:
        kind: the class; paths are the only ones of its annotations that JSON does not know.
        values: texts by the names of its arguments.

    Raises:
        ConfigError: a value is none that its argument takes.

    Example:
        >>> from maas.lifecycle.given_decoder import GivenDecoder
        >>> typed_arguments(GivenDecoder, {"model": "folder", "context": "64"})
        {'model': 'folder', 'context': 64}
    """
    hints, read = get_type_hints(kind, include_extras=True), dict[str, Any]()
    for name, value in values.items():
        try:
            read[name] = msgspec.convert(value, hints[name], strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name} is {value}: {one_line(error)}.") from error
    return read


def _path(kind: type, value: str) -> Path:
    """Returns what JSON has no type for."""
    if kind is not Path:
        raise TypeError(f"{kind.__name__} is no type of an argument that is typed.")
    return Path(value)
