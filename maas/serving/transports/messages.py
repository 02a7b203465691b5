"""How requests and replies travel over ASGI."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Self

from maas.errors import MaasError, OverloadError
from maas.serving.faults import TooLargeError
from maas.serving.protocols.operations import AnyOperation, Metadata, Reply
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.transports.body_limits import DISCARD_BYTES, DISCARD_S, BodyBudget, checked_head, decompressed_body
from maas.serving.transports.statuses import http_refusal

AsgiScope = MutableMapping[str, Any]  # ASGI's own type
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed the connection before its reply was ready."""


class HeldBody:
    """One request's body within a budget, which gets its bytes back on leaving the block.

    Args:
        budget: of all requests.
    """

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.held_bytes -= self._held

    async def read(self, headers: Metadata, receive: Receive, *, takes_forms: bool) -> bytes | bytearray:
        """Returns the body, and keeps no more than its limit.

        Args:
            headers: of the request.
            receive: of ASGI.
            takes_forms: whether the operation reads multipart forms.

        Raises:
            TooLargeError: it is larger; what still arrives was discarded, unless the client waits for leave to send.
            OverloadError: it does not fit beside the bodies of others; it was discarded likewise.
            MediaTypeError: it is a form where none is read, or compressed in a way that is not read here.
            UnreadableError: it is compressed and damaged.
            ClientGoneError: the client went away.
        """
        length, waits, encoding = checked_head(headers, takes_forms=takes_forms)
        body: bytes | bytearray = b""
        more = not waits  # a client that waits has sent nothing yet
        try:
            self._held = self._budget.hold(length, 0)
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk, more = message.get("body", b""), message.get("more_body", False)
                if len(body) + len(chunk) > self._held:
                    self._held = self._budget.hold(len(body) + len(chunk), self._held)
                if body:
                    body += chunk
                else:
                    body = bytearray(chunk) if more else chunk
        except (TooLargeError, OverloadError):
            body = b""
            if more:
                await _discard(receive)
            raise
        if encoding:
            body, self._held = await decompressed_body(body, encoding, self._budget, self._held)
        return body


async def send_reply(reply: Reply, send: Send, status: int, request_id: bytes) -> None:
    """Writes a reply."""
    body = b"" if reply.is_unchanged else reply.body
    headers = [
        (b"content-type", reply.media_type),
        *([] if reply.is_unchanged else [(b"content-length", b"%d" % len(body))]),
        (b"x-request-id", request_id),
        *reply.metadata,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(reply: StreamedReply, operation: AnyOperation, send: Send, request_id: bytes) -> None:
    """Writes a reply as it is made."""
    headers = [(b"content-type", reply.media_type), (b"x-request-id", request_id), *reply.metadata]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with contextlib.aclosing(reply.parts) as parts:
        try:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except MaasError as error:
            ending = reply.ending(http_refusal(error, operation)[1].body)
            await send({"type": "http.response.body", "body": ending, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    arrived = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while arrived < DISCARD_BYTES:
                message = await receive()
                arrived += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
