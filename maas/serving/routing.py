"""Which operation answers which path.

A path is literal, or leaves segments open, whole or up to a suffix: `/v2/models/{name}/infer`,
`/v1/models/{name}:predict`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from maas.errors import shortened_value
from maas.serving.faults import CallError
from maas.serving.protocols.operations import AnyOperation

LONGEST_PATH = 1000


class OperationSource(NamedTuple):
    """Operations that are made once a request may be for one of them.

    Args:
        paths: where they are; `/v2/*` stands for all that begin with `/v2/`.
        make: makes them.
    """

    paths: tuple[str, ...]
    make: Callable[[], Iterable[AnyOperation]]

    def may_have(self, path: str) -> bool:
        """Whether one of them may be at a path."""
        return any(path.startswith(one[:-1]) if one.endswith("*") else path == one for one in self.paths)


class UnknownRouteError(CallError):
    """Nothing is served at that path."""

    kind = "unknown_route"


class MethodError(CallError):
    """The path is served, but not for this method.

    Args:
        message: what was wanted, and what is allowed.
        allowed: methods that the path takes.
    """

    kind = "method_not_allowed"

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class _Pattern:
    """A path with open segments, and what is served there.

    Args:
        path: as operations write it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.methods: dict[str, AnyOperation] = {}
        self.has_suffix = bool(re.search(r"\}[^/]", path))
        self._segments = [segment.removeprefix("{").partition("}") for segment in path.split("/")]

    def values(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Returns the values of the open segments, or None where a path is another.

        Args:
            segments: of the path, as many as the pattern has.
        """
        found: dict[str, str] = {}
        for (name, is_open, suffix), segment in zip(self._segments, segments, strict=True):
            if is_open and segment.endswith(suffix):
                found[name] = segment.removesuffix(suffix)
            elif is_open or name != segment:
                return None
        return found


class RouteTable:
    """Finds an operation by its method and path.

    Literal paths are found in a dictionary; the others are compared segment by segment, among those of equal length and
    those with suffixes first, and the last thousand that were found are remembered. Before a path is looked for, the
    operations are made of all sources that it may belong to, so that it does not matter when they are made.

    Args:
        sources: of the operations.
    """

    def __init__(self, sources: Iterable[OperationSource]) -> None:
        self._sources = tuple(sources)
        self._made: dict[OperationSource, tuple[AnyOperation, ...]] = {}
        self._literal: dict[str, dict[str, AnyOperation]] = {}
        self._open: dict[int, list[_Pattern]] = {}
        self._matched = lru_cache(maxsize=1024)(self._match)

    @property
    def operations(self) -> tuple[AnyOperation, ...]:
        """All of them, in the order of their sources."""
        return tuple(operation for source in self._sources for operation in self._operations_of(source))

    def find(self, method: str, path: str) -> tuple[AnyOperation, Mapping[str, str]]:
        """Returns the operation and the values of its open segments.

        Raises:
            UnknownRouteError: no operation has this path.
            MethodError: the path has other methods.
        """
        if len(path) > LONGEST_PATH:
            raise self._unknown(path)
        methods, values = self._matched(path)
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            allowed = sorted(methods)
            raise MethodError(
                f"{path} takes {' and '.join(allowed)}, not {shortened_value(method, '')}.", allowed=allowed
            )
        return operation, values

    def _operations_of(self, source: OperationSource) -> tuple[AnyOperation, ...]:
        """Returns the operations of a source, made the first time."""
        made = self._made.get(source)
        if made is None:
            made = self._made[source] = tuple(source.make())
            for operation in made:
                self._methods_at(operation.path)[operation.method] = operation
            for patterns in self._open.values():
                patterns.sort(key=lambda pattern: pattern.has_suffix, reverse=True)
        return made

    def _match(self, path: str) -> tuple[dict[str, AnyOperation], dict[str, str]]:
        for source in self._sources:
            if source.may_have(path):
                self._operations_of(source)
        if methods := self._literal.get(path):
            return methods, {}
        segments = path.split("/")
        for pattern in self._open.get(len(segments), ()):
            values = pattern.values(segments)
            if values is not None:
                return pattern.methods, values
        raise self._unknown(path)

    def _unknown(self, path: str) -> UnknownRouteError:
        return UnknownRouteError(f"Nothing is served at {shortened_value(path, '')}; there is {self._served}.")

    @cached_property
    def _served(self) -> str:
        """The documented routes, less those that name a version or a label of one."""
        shown = [one for one in self.operations if one.is_documented and not re.search(r"{(version|label)}", one.path)]
        return ", ".join(dict.fromkeys(f"{operation.method} {operation.path}" for operation in shown))

    def _methods_at(self, path: str) -> dict[str, AnyOperation]:
        if "{" not in path:
            return self._literal.setdefault(path, {})
        same_length = self._open.setdefault(path.count("/") + 1, [])
        for known in same_length:
            if known.path == path:
                return known.methods
        same_length.append(_Pattern(path))
        return same_length[-1].methods
