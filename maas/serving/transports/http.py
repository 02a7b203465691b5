"""HTTP as an ASGI application, to be embedded in another server: it reads, lets the service answer, and writes."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from urllib.parse import parse_qsl

from maas.errors import MaasError
from maas.serving.deadlines import PRIORITY, TIMEOUT
from maas.serving.observers import Observer, outcome_of
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols.operations import Action, AnyOperation, AnyReply, Page, Reply, Request
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.repository import Repository
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.http_heads import joined_fields
from maas.serving.transports.messages import (
    AsgiScope,
    ClientGoneError,
    HeldBody,
    Receive,
    Send,
    send_reply,
    send_stream,
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
        pages: Sequence[Page | Action] = (),
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
            outcome = await self._outcome(operation, request, receive)
            if isinstance(outcome, StreamedReply):
                status = 200
                async with CancelledWhenClientGoes(receive):
                    await send_stream(outcome, operation, send, request.request_id)
                return
            if isinstance(outcome, Reply):
                status, reply = 304 if outcome.is_unchanged else 200, outcome
            else:
                status, reply = http_refusal(outcome, operation)
            await send_reply(reply, send, status, request.request_id)
        except ClientGoneError:
            pass
        except MaasError as error:
            status, reply = http_refusal(error, operation)
            await send_reply(reply, send, status, request.request_id)
        finally:
            seconds = time.perf_counter() - start
            self.service.observe(outcome_of(scope["method"], scope["path"], operation, request, status, seconds))

    def _request(self, scope: AsgiScope) -> Request:
        """Returns a request whose body has not been read."""
        query, headers = scope["query_string"], joined_fields(scope["headers"])
        return Request(
            metadata=headers,
            query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
            request_id=self.service.request_id(headers.get(b"x-request-id", b"")),
            timeout=headers.get(TIMEOUT, b""),
            priority=headers.get(PRIORITY, b""),
        )

    async def _outcome(self, operation: AnyOperation, request: Request, receive: Receive) -> AnyReply | BaseException:
        with HeldBody(self._bodies) as body:
            if operation.takes_body:
                request.body = await body.read(request.metadata, receive, takes_forms=operation.takes_forms)
            async with CancelledWhenClientGoes(receive):
                outcome: asyncio.Future[AnyReply | BaseException] = asyncio.get_running_loop().create_future()
                withdraw = self.service.begin(operation, request, partial(_keep, outcome))
                try:
                    return await outcome
                finally:
                    withdraw()

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


def _keep(outcome: "asyncio.Future[AnyReply | BaseException]", found: AnyReply | BaseException) -> None:
    if not outcome.done():
        outcome.set_result(found)
