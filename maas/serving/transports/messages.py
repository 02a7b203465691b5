"""How requests and replies travel over ASGI."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Self

from maas.errors import OverloadError
from maas.serving.faults import MediaTypeError, TooLargeError
from maas.serving.protocols.operations import Metadata, Reply

AsgiScope = MutableMapping[str, Any]  # ASGI's own type
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DISCARD_BYTES = 64 * 2**20  # what is read and thrown away so that a client that still sends can read its 413
DISCARD_S = 10.0


class ClientGoneError(Exception):
    """The client closed the connection before its reply was ready."""


class BodyBudget:
    """The bytes of the bodies that are in memory, of all requests together.

    Args:
        max_body_bytes: largest size of one body.
        max_total_bytes: largest size of all of them; a request that does not fit is refused before it is read.
    """

    def __init__(self, max_body_bytes: int, max_total_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_total_bytes = max_total_bytes
        self.held_bytes = 0

    def hold(self, size: int, held: int) -> int:
        """Reserves room for a body of some bytes in all, and returns how many it holds now.

        Args:
            size: of the body, as far as it is known.
            held: bytes that were reserved for it before.

        Raises:
            TooLargeError: no body may be so large.
            OverloadError: there is no room now.
        """
        if size <= held:
            return held
        if size > self.max_body_bytes:
            raise _too_large(self.max_body_bytes, size)
        if self.held_bytes > held and self.held_bytes - held + size > self.max_total_bytes:
            raise OverloadError(
                f"The bodies of requests hold {self.held_bytes:,} bytes of at most {self.max_total_bytes:,}; "
                f"{size - held:,} more do not fit. Try again in a second."
            )
        self.held_bytes += size - held
        return size


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

    async def read(self, headers: Metadata, receive: Receive) -> bytes | bytearray:
        """Returns the body, and keeps no more than its limit.

        Raises:
            TooLargeError: it is larger; what still arrives was discarded, unless the client waits for leave to send.
            OverloadError: it does not fit beside the bodies of others; it was discarded likewise.
            MediaTypeError: it is a form, or compressed.
            ClientGoneError: the client went away.
        """
        length, waits = _checked_head(headers)
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
        return body


async def send_reply(reply: Reply, send: Send, status: int, request_id: bytes) -> None:
    """Writes a reply."""
    headers = [
        (b"content-type", reply.media_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id),
        *reply.metadata,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _checked_head(headers: Metadata) -> tuple[int, bool]:
    """Returns the announced length (0 if there is none) and whether the client waits for `100 Continue`."""
    length, waits = 0, False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-type" and value.lower().startswith(b"multipart/"):
            raise MediaTypeError(
                "The body is a multipart form; send JSON: curl -d '{…}', with -H 'content-type: application/json'."
            )
        elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            raise MediaTypeError(f"The body is compressed ({value.decode('latin-1')}); send it as it is.")
        elif name == b"expect":
            waits = value.lower() == b"100-continue"
    return length, waits


def _too_large(limit_bytes: int, found: int) -> TooLargeError:
    return TooLargeError(
        f"The body has {found:,} bytes or more; this server takes {limit_bytes:,}. Send fewer rows at a time, or start "
        "the server with a larger max_body_bytes."
    )


async def _discard(receive: Receive) -> None:
    arrived = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while arrived < DISCARD_BYTES:
                message = await receive()
                arrived += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
