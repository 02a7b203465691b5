"""The ASGI application: finds the route, reads the body, asks the dialect, writes the answer, counts it."""

import logging
import time
import uuid
from typing import Any

from maas.errors import OverloadError
from maas.serving import telemetry
from maas.serving.dataplane import DataPlane
from maas.serving.dialects import routes_of
from maas.serving.documentation import documentation
from maas.serving.faults import MethodError, status_and_code
from maas.serving.messages import (
    ClientGoneError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_body,
    send_response,
)
from maas.serving.payload import encode
from maas.serving.routing import Content, Route, RouteTable
from maas.serving.watching import CancelledWhenClientGoes

CLIENT_GONE = 499  # nobody reads it; the metrics show it

log = logging.getLogger("maas.serving")
access_log = logging.getLogger("maas.access")


class App:
    """The server, apart from sockets.

    Args:
        plane: the models; the app closes it when the server stops.
        metrics: counts the requests.
        max_body_bytes: the most bytes that a request's body may have.
        access_log: write one JSON line a request.
    """

    def __init__(
        self, plane: DataPlane, metrics: telemetry.Telemetry, *, max_body_bytes: int, access_log: bool = False
    ) -> None:
        self._plane = plane
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._access_log = access_log
        self._table = RouteTable([*routes_of(plane), self._metrics_route()])
        self._documentation_paths, self._documentation = documentation(plane, self._table.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or follows the server's life."""
        if scope["type"] == "http" and scope["path"] in self._documentation_paths:
            await self._documentation(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        request, path, status = Request(headers=scope["headers"]), "unknown", CLIENT_GONE
        try:
            route, request.parameters = self._table.find(scope["method"], scope["path"])
            path = route.path
            response = await self._handled(route, request, receive)
            status = response.status
            await send_response(response, send)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001  the one place where exceptions become answers
            response = response_to(error)
            status = response.status
            await send_response(response, send)
        finally:
            seconds = time.perf_counter() - start
            self._metrics.observe_request(path, request.model, status, seconds)
            if self._access_log:
                _log_access(scope, path, request.model, status, seconds)

    async def _handled(self, route: Route, request: Request, receive: Receive) -> Response:
        if route.method == "GET":
            return await route.handle(request)
        request.body = await read_body(request.headers, receive, self._max_body_bytes)
        async with CancelledWhenClientGoes(receive):
            return await route.handle(request)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._plane.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _metrics_route(self) -> Route:
        async def handle(request: Request) -> Response:  # noqa: ARG001
            return Response(self._metrics.render(), media_type=telemetry.MEDIA_TYPE)

        example = 'maas_requests_total{route="/predict",model="digits",status="200"} 1.0'
        content = Content({"type": "string"}, example, telemetry.MEDIA_TYPE.decode().partition(";")[0])
        return Route("GET", "/metrics", handle, "Counters and histograms for Prometheus.", content)


def response_to(error: Exception) -> Response:
    """Returns the answer to a request that failed; what is not the caller's fault goes to the log with an id."""
    status, code = status_and_code(error)
    content: dict[str, Any] = {"error": str(error), "code": code}
    headers: list[tuple[bytes, bytes]] = []
    if status == 500:
        content["id"] = uuid.uuid4().hex
        content["error"] = f"The server failed; its log tells more under id {content['id']}."
        log.error("request %s failed", content["id"], exc_info=error)
    elif isinstance(error, OverloadError):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    elif isinstance(error, MethodError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif status == 413:
        headers.append((b"connection", b"close"))
    return Response(encode(content), status, headers=tuple(headers))


def _log_access(scope: Scope, route: str, model: str, status: int, seconds: float) -> None:
    line = {
        "time": time.time(),
        "method": scope["method"],
        "path": scope["path"],
        "route": route,
        "model": model,
        "status": status,
        "ms": round(1000 * seconds, 3),
    }
    access_log.info(encode(line).decode())
