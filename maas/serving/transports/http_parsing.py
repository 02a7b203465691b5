"""Bytes of a connection to heads and bodies, with the limits of heads; llhttp parses (httptools).

A wish to speak another protocol (`Upgrade`) is ignored, as RFC 9110 (section 7.8) allows.
"""

from typing import Protocol

import httptools

from maas.serving.faults import CallError
from maas.serving.transports.http_heads import HttpHead, LargeHeadError, MalformedRequestError, http_head

MAX_HEAD_BYTES = 64 * 2**10
MAX_HEAD_FIELDS = 100


class RequestReceiver(Protocol):
    """What receives requests as they arrive."""

    def begin(self, head: HttpHead, *, keeps_alive: bool) -> None:
        """Takes a head, and whether the client wants the connection to stay open."""

    def receive(self, body: bytes) -> None:
        """Takes a part of the body."""

    def complete(self) -> None:
        """Takes note that the request is whole."""


class RequestParser:
    """Parses the requests of one connection.

    Args:
        receiver: receives them.
    """

    def __init__(self, receiver: RequestReceiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._size: int | None = 0
        self._silent_bytes = 0
        self._is_upgrading = self._is_resuming = self._is_split = False
        self.is_in_head = self.is_in_body = False
        self.failure: CallError | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Parses what arrived.

        Raises:
            MalformedRequestError: it is not HTTP/1.1 as a server may accept it.
            LargeHeadError: a head is too large, or what stands between the parts of a body.
        """
        self._silent_bytes += len(data)
        self._is_split = True
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            raise self.failure or MalformedRequestError(f"The request is not HTTP/1.1: {error}.") from error
        if self._silent_bytes > MAX_HEAD_BYTES and (self.is_in_head or self.is_in_body):
            raise _large_head()

    def on_message_begin(self) -> None:
        """Begins a head."""
        if not self._is_resuming:
            self._fields, self._target, self._silent_bytes = [], b"", 0
            self.is_in_head, self._is_split = True, False

    def on_url(self, url: bytes) -> None:
        """Takes a part of the target."""
        if not self._is_resuming:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field of the head; those after a body in chunks are ignored."""
        if not self.is_in_head:
            return
        self._fields.append((name.lower(), value.rstrip(b" \t")))  # llhttp leaves the blanks after a value
        if len(self._fields) > MAX_HEAD_FIELDS:
            self.failure = LargeHeadError(f"The head has more than {MAX_HEAD_FIELDS} fields. Send fewer.")
            raise self.failure

    def on_headers_complete(self) -> None:
        """Hands over a head."""
        if self._is_resuming:
            self._is_resuming = False
            return
        self.is_in_head, self.is_in_body, parser = False, True, self._parser
        try:
            if self._is_split:  # what arrived in one piece is no larger than that
                self._require_small_head()
            head = http_head(parser.get_method(), self._target, parser.get_http_version(), self._fields)
        except CallError as error:
            self.failure = error
            raise
        self._size, self._silent_bytes = head.body_bytes, 0
        self._is_upgrading = parser.should_upgrade()
        self._receiver.begin(head, keeps_alive=parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        """Hands over a part of a body."""
        self._silent_bytes = 0
        self._receiver.receive(body)

    def on_message_complete(self) -> None:
        """Ends a request, unless its `Upgrade` is ignored: then its body is still to come."""
        if not self._is_upgrading:
            self.is_in_body = False
            self._receiver.complete()

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._resume()
            else:
                return

    def _resume(self) -> None:
        """Begins a new parser in the middle of a request: it is shown how the body is framed."""
        self._is_upgrading, self._is_resuming = False, True
        self._parser = httptools.HttpRequestParser(self)
        framing = b"transfer-encoding: chunked" if self._size is None else b"content-length: %d" % self._size
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)

    def _require_small_head(self) -> None:
        size = len(self._target)
        for name, value in self._fields:
            size += len(name) + len(value)
        if size > MAX_HEAD_BYTES:
            raise _large_head()


def _large_head() -> LargeHeadError:
    return LargeHeadError(f"The head has more than {MAX_HEAD_BYTES:,} bytes. Send less.")
