"""Overrides as they are typed: `key=value`, `+key=value` and `~key`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from maas.errors import ConfigError, shortened_value

HOME = "~/"
"""What a path below the user's own folder begins with."""


def key_of(override: str) -> str:
    """Returns the key of an override, without the sign that adds or removes it.

    Example:
        >>> key_of("+data.max_rows=5")
        'data.max_rows'
    """
    return override.lstrip("+~").partition("=")[0]


def require_each_once(overrides: Sequence[str]) -> None:
    """Refuses a command line that gives a key twice: which value was meant cannot be known.

    Args:
        overrides: as they were typed.

    Raises:
        ConfigError: the keys with their values, a line each.
    """
    faults = list(repeated_keys(overrides))
    if faults:
        raise ConfigError("\n".join(faults))


def repeated_keys(overrides: Sequence[str]) -> Iterator[str]:
    """Yields a line for each key that is given more than once.

    Args:
        overrides: as they were typed.
    """
    for key, count in Counter(map(key_of, overrides)).items():
        if count > 1:
            given = " and ".join(shortened_value(one, "") for one in overrides if key_of(one) == key)
            yield f"{key} is given {'twice' if count == 2 else f'{count} times'}: {given}. Leave one."


def with_home(word: str) -> str:
    """Returns a word whose path begins with the user's own folder, which shells leave as it is after `key=`.

    Args:
        word: as it was typed.

    Example:
        >>> with_home("model=~/bundle") == f"model={Path.home()}/bundle"
        True
    """
    key, equals, value = ("", "", word) if word.startswith(HOME) else word.partition("=")
    return f"{key}{equals}{Path(value).expanduser()}" if value.startswith(HOME) else word
