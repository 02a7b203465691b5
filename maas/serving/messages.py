"""Requests and responses as the dialects see them, and how they travel over ASGI."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from maas.serving.faults import BodyTooLargeError, MediaTypeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
DISCARD_BYTES = 64 * 2**20  # what is read and thrown away so that a client that still sends can read its 413
DISCARD_S = 10.0


class ClientGoneError(Exception):
    """The client closed the connection before its answer was ready."""


@dataclass(slots=True)
class Request:
    """One request, read whole.

    Args:
        body: its bytes.
        parameters: the parts of the path that its route leaves open, by name.
        headers: names in lower case, as ASGI gives them.
        model: filled in by the dialect once it knows; the metrics are kept by it.
    """

    body: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Headers = ()
    model: str = ""

    @property
    def media_type(self) -> str:
        """What the body is said to be, in lower case and without parameters; empty where nothing is said."""
        for name, value in self.headers:
            if name == b"content-type":
                return value.decode("latin-1").partition(";")[0].strip().lower()
        return ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, written whole."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def read_body(headers: Headers, receive: Receive, limit_bytes: int) -> bytes:
    """Reads a request's body and keeps no more than `limit_bytes` of it.

    Raises:
        BodyTooLargeError: it is larger; what still arrives was discarded, unless the client waits for leave to send.
        MediaTypeError: it is a form, or compressed.
        ClientGoneError: the client went away.
    """
    length, waits = _checked_head(headers)
    if length > limit_bytes:
        if not waits:
            await _discard(receive)
        raise _too_large(limit_bytes, length)
    chunks: list[bytes] = []
    arrived, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk, more = message.get("body", b""), message.get("more_body", False)
        arrived += len(chunk)
        if arrived > limit_bytes:
            chunks.clear()
            if more:
                await _discard(receive)
            raise _too_large(limit_bytes, arrived)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def send_response(response: Response, send: Send) -> None:
    """Writes an answer."""
    headers = [(b"content-type", response.media_type), (b"content-length", b"%d" % len(response.body))]
    headers += response.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _checked_head(headers: Headers) -> tuple[int, bool]:
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


def _too_large(limit_bytes: int, found: int) -> BodyTooLargeError:
    return BodyTooLargeError(
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
