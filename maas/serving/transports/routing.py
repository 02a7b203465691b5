"""Which operation answers which path. A path is literal, or leaves whole segments open: `/v2/models/{name}/infer`."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from maas.errors import shortened_value
from maas.serving.faults import CallError
from maas.serving.protocols.operations import AnyOperation

LONGEST_PATH = 1000


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


class RouteTable:
    """Finds an operation by its method and path.

    Literal paths are found in a dictionary; the others are compared segment by segment, among those of equal length,
    and the last thousand that were found are remembered.
    """

    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        self.operations = tuple(operations)
        self._literal: dict[str, dict[str, AnyOperation]] = {}
        self._open: dict[int, list[tuple[list[str], dict[str, AnyOperation]]]] = {}
        for operation in self.operations:
            self._methods_at(operation.path)[operation.method] = operation
        self._matched = lru_cache(maxsize=1024)(self._match)

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

    def _match(self, path: str) -> tuple[dict[str, AnyOperation], dict[str, str]]:
        if methods := self._literal.get(path):
            return methods, {}
        segments = path.split("/")
        for pattern, methods in self._open.get(len(segments), ()):
            if all(wanted.startswith("{") or wanted == found for wanted, found in zip(pattern, segments, strict=True)):
                pairs = zip(pattern, segments, strict=True)
                return methods, {wanted[1:-1]: found for wanted, found in pairs if wanted.startswith("{")}
        raise self._unknown(path)

    def _unknown(self, path: str) -> UnknownRouteError:
        paths = dict.fromkeys(f"{operation.method} {operation.path}" for operation in self.operations)
        return UnknownRouteError(f"Nothing is served at {shortened_value(path, '')}; there is {', '.join(paths)}.")

    def _methods_at(self, path: str) -> dict[str, AnyOperation]:
        if "{" not in path:
            return self._literal.setdefault(path, {})
        pattern = path.split("/")
        same_length = self._open.setdefault(len(pattern), [])
        for known, methods in same_length:
            if known == pattern:
                return methods
        same_length.append((pattern, {}))
        return same_length[-1][1]
