"""HTTP/1.1 as an ASGI application: finds the operation, reads the body, lets the model answer, writes it, counts it."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from maas.errors import OverloadError
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, size_of_outputs
from maas.serving.documentation import documentation
from maas.serving.faults import kind_of, message_of
from maas.serving.observers import Observer, Outcome
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols import operations_of
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import FaultForm, Inference, Page, Reply, Request, common_fault
from maas.serving.repository import Repository
from maas.serving.transports.messages import (
    AsgiScope,
    BodyBudget,
    ClientGoneError,
    HeldBody,
    Receive,
    Send,
    send_reply,
)
from maas.serving.transports.routing import MethodError, RouteTable
from maas.serving.transports.watching import CancelledWhenClientGoes

STATUS = {
    "invalid_input": 400,
    "invalid_json": 400,
    "answer_not_finite": 400,
    "unknown_model": 404,
    "unknown_route": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "too_many_rows": 413,
    "unsupported_media_type": 415,
    "internal_error": 500,
    "overloaded": 503,
    "deadline_exceeded": 504,
}
"""The status of each kind of fault."""
CLIENT_GONE = 499  # nobody reads it; the metrics show it

log = logging.getLogger("maas.serving")


class HttpApp:
    """The server, apart from sockets.

    Args:
        repository: the models; the app closes it when the server stops.
        pages: operations that no protocol has, such as metrics.
        observers: see each outcome.
        max_body_bytes: largest size of a request's body.
        max_total_bytes: largest size of all bodies that are in memory at one time.
        reader: reads large bodies; the app closes it as well.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        pages: Sequence[Page] = (),
        observers: Sequence[Observer] = (),
        max_body_bytes: int = 8 * 2**20,
        max_total_bytes: int = 64 * 2**20,
        reader: InputReader | None = None,
    ) -> None:
        self._repository = repository
        self._pages = tuple(pages)
        self._observers = tuple(observers)
        self._bodies = BodyBudget(max_body_bytes, max_total_bytes)
        self._reader = reader or InputReader(1024)
        self._routes: tuple[str, RouteTable] = ("", RouteTable(()))

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answers one request, or follows the server's life."""
        if scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    @property
    def routes(self) -> RouteTable:
        """The operations for what is served now, made again only when that changes."""
        snapshot = self._repository.snapshot
        if self._routes[0] != snapshot.digest:
            operations = [*operations_of(snapshot), *self._pages]
            self._routes = (snapshot.digest, RouteTable([*operations, *documentation(operations)]))
        return self._routes[1]

    async def close(self) -> None:
        """Finishes what was admitted, and ends threads and processes."""
        await self._repository.close()
        await self._reader.close()

    async def _respond(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        request, path, status = Request(metadata=scope["headers"]), "unknown", CLIENT_GONE
        fault: FaultForm = common_fault
        try:
            operation, request.values = self.routes.find(scope["method"], scope["path"])
            path, fault = operation.path, operation.fault
            if query := scope["query_string"]:
                request.query = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
            if isinstance(operation, Inference):
                reply = await self._inferred(operation, request, receive)
            else:
                reply = operation.reply(request, self._repository.snapshot)
            status = 307 if reply.is_redirect else 200
            await send_reply(reply, send, status)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001  the one place where exceptions become replies
            status, reply = http_refusal(error, fault)
            await send_reply(reply, send, status)
        finally:
            seconds = time.perf_counter() - start
            outcome = Outcome(scope["method"], scope["path"], path, request.model, status, seconds)
            for observer in self._observers:
                observer.observe(outcome)

    async def _inferred(self, operation: Inference[Any], request: Request, receive: Receive) -> Reply:
        with HeldBody(self._bodies) as body:
            request.body = await body.read(request.metadata, receive)
            async with CancelledWhenClientGoes(receive):
                snapshot = self._repository.snapshot
                if operation.is_large(request, snapshot):
                    call = await self._reader.read(operation, request, snapshot)
                    snapshot = self._repository.snapshot
                else:
                    call = operation.parse(request, snapshot)
                deployment = snapshot.find(call.model, call.version)
                async for chunk in deployment.engine.submit(call):
                    outputs = chunk.outputs
                    if chunk.is_last:
                        break
                rendered = operation.render(call, deployment, outputs)
                if size_of_outputs(outputs) > OUTPUT_VALUES_AT_ONCE:
                    content = b"".join([part async for part in in_turns(rendered.parts)])
                else:
                    content = b"".join(rendered.parts)
                return Reply(content, rendered.media_type, rendered.metadata)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def in_turns(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yields parts; what else waits for the event loop has its turn between two of them."""
    for part in parts:
        yield part
        await asyncio.sleep(0)


def http_refusal(error: Exception, fault: FaultForm = common_fault) -> tuple[int, Reply]:
    """Returns status and reply of a request that failed; what is not the caller's fault goes to the log with an id.

    Args:
        error: what was raised.
        fault: form of the reply, of the protocol that was spoken.
    """
    kind = kind_of(error)
    status = STATUS[kind]
    content = fault(kind, message_of(error))
    headers: list[tuple[bytes, bytes]] = []
    if status == 500:
        identity = uuid.uuid4().hex
        content = {**fault(kind, f"The server failed; its log has more under id {identity}."), "id": identity}
        log.error("request %s failed", identity, exc_info=error)
    elif isinstance(error, OverloadError):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    elif isinstance(error, MethodError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif status == 413:
        headers.append((b"connection", b"close"))
    return status, Reply(encode(content), metadata=tuple(headers))
