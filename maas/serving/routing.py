"""Which function answers which path. A path is literal, or leaves whole segments open: `/v2/models/{name}/infer`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from maas.serving.faults import MethodError, UnknownRouteError
from maas.serving.messages import Request, Response

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Content:
    """A body as the documentation shows it.

    Args:
        schema: its JSON Schema.
        example: one that works with the served model.
        media_type: its media type.
    """

    schema: Mapping[str, Any]
    example: Any
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Args:
        method: GET or POST.
        path: with `{name}` for each segment that is left open.
        handle: answers it.
        summary: one line for the documentation.
        response: what it answers.
        request: what it takes; null for GET.
        values: for each open segment a value that works.
        files: media types of files that may be the whole body instead.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    response: Content
    request: Content | None = None
    values: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()


class RouteTable:
    """Finds a route by its method and path.

    Literal paths are found in a dictionary; the others are compared segment by segment, among those of equal length,
    and the last thousand that were found are remembered.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._literal: dict[str, dict[str, Route]] = {}
        self._open: dict[int, list[tuple[list[str], dict[str, Route]]]] = {}
        for route in self.routes:
            self._methods_at(route.path)[route.method] = route
        self._matched = lru_cache(maxsize=1024)(self._match)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Returns the route and the values of its open segments.

        Raises:
            UnknownRouteError: no route has this path.
            MethodError: the path has other methods.
        """
        methods, parameters = self._matched(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = sorted(methods)
            raise MethodError(f"{path} takes {' and '.join(allowed)}, not {method}.", allowed=allowed)
        return route, parameters

    def _match(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        if methods := self._literal.get(path):
            return methods, {}
        segments = path.split("/")
        for pattern, methods in self._open.get(len(segments), ()):
            if all(wanted.startswith("{") or wanted == found for wanted, found in zip(pattern, segments, strict=True)):
                pairs = zip(pattern, segments, strict=True)
                return methods, {wanted[1:-1]: found for wanted, found in pairs if wanted.startswith("{")}
        paths = dict.fromkeys(f"{route.method} {route.path}" for route in self.routes)
        raise UnknownRouteError(f"Nothing is served at {path}; there is {', '.join(paths)} and GET /docs.")

    def _methods_at(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._literal.setdefault(path, {})
        pattern = path.split("/")
        same_length = self._open.setdefault(len(pattern), [])
        for known, methods in same_length:
            if known == pattern:
                return methods
        same_length.append((pattern, {}))
        return same_length[-1][1]
