"""Parts: what a recipe names by import path, with the arguments that it is called with."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import Any, Generic, TypeGuard, TypeVar, cast

from maas.errors import ConfigError, MaasError, one_line

T_co = TypeVar("T_co", covariant=True)

TARGET, DEFERRED, POSITIONAL, RECURSIVE = "_target_", "_partial_", "_args_", "_recursive_"
DIRECTIVES = frozenset({TARGET, DEFERRED, POSITIONAL, RECURSIVE, "_convert_"})
"""Keys of a part that are no arguments; they mean what they mean to Hydra's `instantiate`."""
REFUSAL_OF_LIGHTNING = "MisconfigurationException"
"""What Lightning's parts raise of arguments; Lightning is not imported here."""


@dataclass(frozen=True)
class Part(Mapping[str, Any], Generic[T_co]):
    """An importable callable with its arguments; as a mapping, it is its arguments by name.

    Args:
        target: import path of the callable.
        arguments: plain values, lists, mappings and further parts, by name.
        path: where it stands in the recipe, for messages.
        is_deferred: whether building it gives a callable that takes the rest of the arguments.
        positional: arguments without a name.
        is_recursive: whether parts among the arguments are built; else they are passed as mappings.

    Example:
        >>> Part.of({"_target_": "fractions.Fraction", "numerator": 3}, "ratio").build(denominator=4)
        Fraction(3, 4)
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    path: str = field(default="", compare=False)
    is_deferred: bool = False
    positional: tuple[Any, ...] = ()
    is_recursive: bool = True

    @classmethod
    def of(cls, node: Mapping[str, Any], path: str) -> "Part[T_co]":
        """Reads a part as a recipe writes it.

        Args:
            node: a mapping with a `_target_`.
            path: where it stands in the recipe.
        """
        is_recursive = bool(node.get(RECURSIVE, True))
        own = {str(key): value for key, value in node.items() if key not in DIRECTIVES}
        return cls(
            target=str(node[TARGET]),
            arguments={key: value_of(one, f"{path}.{key}") for key, one in own.items()} if is_recursive else own,
            path=path,
            is_deferred=bool(node.get(DEFERRED)),
            positional=tuple(value_of(one, f"{path}[{index}]") for index, one in enumerate(node.get(POSITIONAL, ()))),
            is_recursive=is_recursive,
        )

    def __getitem__(self, name: str) -> Any:
        """Returns an argument."""
        return self.arguments[name]

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the arguments."""
        return iter(self.arguments)

    def __len__(self) -> int:
        """Returns the number of named arguments."""
        return len(self.arguments)

    def __bool__(self) -> bool:
        """Returns True: a part without arguments is a part nevertheless."""
        return True

    def record(self) -> dict[str, Any]:
        """Returns the part as a recipe writes it, all parts in it likewise."""
        directives: dict[str, Any] = {TARGET: self.target}
        directives |= {DEFERRED: True} if self.is_deferred else {}
        directives |= {POSITIONAL: plain_of(list(self.positional))} if self.positional else {}
        directives |= {} if self.is_recursive else {RECURSIVE: False}
        return {**directives, **{key: plain_of(value) for key, value in self.arguments.items()}}

    def with_arguments(self, **changed: object) -> "Part[T_co]":
        """Returns the part with some arguments changed or added."""
        read = {name: value_of(value, f"{self.path}.{name}") for name, value in changed.items()}
        return replace(self, arguments={**self.arguments, **read})

    def imported(self) -> Callable[..., Any]:
        """Imports the callable.

        Raises:
            ConfigError: it cannot be imported or called.
        """
        return cast("Callable[..., Any]", target_of(self.target)[0])

    def build(self, *arguments: object, **more: object) -> T_co:
        """Calls the part, all parts among its arguments before it.

        Args:
            arguments: passed first.
            more: passed by name, in place of the recipe's.

        Raises:
            ConfigError: it, or a part in it, refused its arguments.
        """
        made = self._bound(arguments, more)
        return self._called(made) if not self.is_deferred else made  # type: ignore[return-value]

    def call(self, *arguments: object, **more: object) -> T_co:
        """Calls the part with what it lacks, whether or not the recipe defers it.

        Raises:
            ConfigError: it, or a part in it, refused its arguments.
        """
        return self._called(self._bound(arguments, more))

    def _bound(self, arguments: Sequence[Any], more: Mapping[str, Any]) -> "functools.partial[T_co]":
        own = {key: _built(value) for key, value in self.arguments.items()} if self.is_recursive else self.arguments
        positional = [_built(value) for value in self.positional]
        return functools.partial(imported(self.target), *positional, *arguments, **{**own, **more})

    def _called(self, made: "functools.partial[T_co]") -> T_co:
        try:
            return made()
        except MaasError:
            raise
        except Exception as error:
            if not isinstance(error, TypeError | ValueError) and type(error).__name__ != REFUSAL_OF_LIGHTNING:
                raise
            raise ConfigError(f"{self.path} was refused by {self.target}: {one_line(error)}{self._advice()}") from error

    def _advice(self) -> str:
        """Returns which settings a part has, for a message."""
        plain = {key: value for key, value in self.arguments.items() if isinstance(value, bool | int | float | str)}
        shown = ", ".join(f"{self.path}.{key}={value}" for key, value in plain.items())
        return f". It was given {shown}." if shown else ""


def is_part(node: object) -> TypeGuard[Mapping[str, Any]]:
    """Returns whether a node of a recipe is a part, or a mapping that describes one."""
    return isinstance(node, Part) or (isinstance(node, Mapping) and TARGET in node)


def target_name(part: Mapping[str, Any]) -> str:
    """Returns the import path that a part, or a mapping that describes one, names."""
    return part.target if isinstance(part, Part) else str(part[TARGET])


def value_of(node: object, path: str) -> object:
    """Returns a node of a recipe with its parts read as such.

    Args:
        node: plain values, lists and mappings.
        path: where it stands in the recipe.
    """
    if isinstance(node, Part):
        return node
    if isinstance(node, Mapping):
        if TARGET in node:
            return Part[Any].of(node, path)
        return {str(key): value_of(one, f"{path}.{key}") for key, one in node.items()}
    if isinstance(node, list | tuple):
        return [value_of(one, f"{path}[{index}]") for index, one in enumerate(node)]
    return node


def plain_of(node: object) -> object:
    """Returns a node of a recipe as plain values, lists and mappings."""
    if isinstance(node, Part):
        return node.record()
    if isinstance(node, Mapping):
        return {key: plain_of(one) for key, one in node.items()}
    if isinstance(node, list | tuple):
        return [plain_of(one) for one in node]
    return node


def _built(node: object) -> object:
    if isinstance(node, Part):
        return node.build()
    if isinstance(node, Mapping):
        return {key: _built(one) for key, one in node.items()}
    if isinstance(node, list):
        return [_built(one) for one in node]
    return node


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
