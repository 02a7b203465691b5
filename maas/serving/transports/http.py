"""HTTP as an ASGI application, to be embedded in another server: it reads, lets the service answer, and writes."""

import time
from collections.abc import Sequence
from urllib.parse import parse_qsl

from maas.serving.observers import Observer
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols.operations import AnyOperation, Inference, Page, Reply, Request, common_fault
from maas.serving.repository import Repository
from maas.serving.service import Service, outcome_of
from maas.serving.transports.messages import (
    AsgiScope,
    BodyBudget,
    ClientGoneError,
    HeldBody,
    Receive,
    Send,
    send_reply,
)
from maas.serving.transports.statuses import CLIENT_GONE, http_refusal
from maas.serving.transports.watching import CancelledWhenClientGoes


class HttpApp:
    """A service as an ASGI application.

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
        self.service = Service(repository, pages=pages, observers=observers, reader=reader)
        self._bodies = BodyBudget(max_body_bytes, max_total_bytes)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answers one request, or follows the server's life."""
        if scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def close(self) -> None:
        """Finishes what was admitted, and ends threads and processes."""
        await self.service.close()

    async def _respond(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        request, operation, status = self._request(scope), None, CLIENT_GONE
        try:
            operation, request.values = self.service.find(scope["method"], scope["path"])
            reply = await self._reply(operation, request, receive)
            status = 307 if reply.is_redirect else 200
            await send_reply(reply, send, status, request.request_id)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001  the one place where exceptions become replies
            status, reply = http_refusal(error, operation.fault if operation else common_fault)
            await send_reply(reply, send, status, request.request_id)
        finally:
            seconds = time.perf_counter() - start
            self.service.observe(outcome_of(scope["method"], scope["path"], operation, request, status, seconds))

    def _request(self, scope: AsgiScope) -> Request:
        """Returns a request whose body has not been read."""
        query = scope["query_string"]
        return Request(
            metadata=scope["headers"],
            query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
            request_id=self.service.request_id(dict(scope["headers"]).get(b"x-request-id", b"")),
        )

    async def _reply(self, operation: AnyOperation, request: Request, receive: Receive) -> Reply:
        if not isinstance(operation, Inference):
            return await self.service.respond(operation, request)
        with HeldBody(self._bodies) as body:
            request.body = await body.read(request.metadata, receive)
            async with CancelledWhenClientGoes(receive):
                return await self.service.respond(operation, request)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.service.start()
            else:
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
