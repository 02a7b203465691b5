"""HTTP/1.1 on one connection: reads requests, replies in their order, ends what is malformed, too large or too slow.

Source: RFC 9112.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from maas.errors import OverloadError
from maas.serving.faults import CallError
from maas.serving.transports.body_limits import DISCARD_BYTES, DISCARD_S
from maas.serving.transports.exchanges import Exchange, ServerState
from maas.serving.transports.http_heads import CONTINUE, HttpHead, MalformedRequestError, SlowRequestError
from maas.serving.transports.http_parsing import RequestParser

MAX_PIPELINED = 32
PIECE_BYTES = 16 * 2**10
"""Of what arrived, parsed in one go: many small requests must not be replied to before any reply is read."""


@dataclass(frozen=True)
class ConnectionLimits:
    """What one connection may take.

    Args:
        head_s: time for a head to arrive, in seconds.
        body_bytes_per_s: slowest average rate at which a body arrives, after `head_s`.
        idle_s: time without a request, or without a client reading its reply, in seconds.
        stopping_s: time for which a connection without a request is kept once the server stops, in seconds.
    """

    head_s: float = 10.0
    body_bytes_per_s: int = 1000
    idle_s: float = 75.0  # longer than the 60 s after which most load balancers drop an idle connection
    stopping_s: float = 1.0


class Http1Connection(asyncio.Protocol):
    """One connection.

    Args:
        state: what all connections of a server share.
        limits: of this one.
        closed: is called with the connection once it is gone.
        malformed: receives what was wrong with a request that is no HTTP.
        is_one_too_many: whether the server has as many connections as it may have: then a request is refused.
    """

    def __init__(
        self,
        state: ServerState,
        limits: ConnectionLimits,
        closed: Callable[["Http1Connection"], None],
        malformed: Callable[[str], None],
        *,
        is_one_too_many: bool = False,
    ) -> None:
        self.is_one_too_many = is_one_too_many
        self._state, self._limits, self._closed, self._malformed = state, limits, closed, malformed
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._arriving: Exchange | None = None
        self._is_discarding = self._is_unread = self._is_full = self._is_broken = self._is_paused = False
        self._since = self._loop.time()
        self._received_bytes = 0
        self._unparsed = memoryview(b"")
        self._last_head: HttpHead | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none, but has its methods

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the work of all requests that were not replied to."""
        for exchange in self._exchanges:
            exchange.abandon()
        self._exchanges.clear()
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        """Reads what arrived."""
        if self._is_discarding:
            self._received_bytes += len(data)
            if self._received_bytes > DISCARD_BYTES:
                self._transport.abort()
            return
        if is_next := self._is_between_requests:
            self._since = self._loop.time()
        if self._unparsed or (len(data) > PIECE_BYTES and not self._is_of_body(len(data))):
            self._unparsed = memoryview(bytes(self._unparsed) + data if self._unparsed else data)
            self._parse_pieces()
            return
        if is_next:
            self._take_next(data)
        else:
            self._parse(data)
            self._set_reading()

    def _is_of_body(self, size: int) -> bool:
        """Whether so many bytes belong to the body that arrives, and to nothing after it."""
        arriving = self._arriving
        if arriving is None or arriving.head.body_bytes is None:
            return False
        return self._received_bytes + size <= arriving.head.body_bytes

    def _take_next(self, data: bytes) -> None:
        """Takes what arrived between two requests; a head that came before is not parsed again."""
        known = None if self.is_one_too_many else self._state.known_heads.head_of(data)
        if known is None:
            self._last_head = None
            self._parse(data)
            self._remember(data)
            self._set_reading()
            return
        head = known.head
        exchange = Exchange(self._state, head, self._flush, keeps_alive=True)
        self._exchanges.append(exchange)
        exchange.take_whole(known, data[-head.body_bytes :] if head.body_bytes else b"")
        if len(self._exchanges) > MAX_PIPELINED:
            self._is_full = True
            self._set_reading()

    def _remember(self, data: bytes) -> None:
        if self._last_head is not None and self._is_between_requests:
            self._state.known_heads.remember(data, self._last_head)

    @property
    def _is_between_requests(self) -> bool:
        """Whether all requests have arrived whole, and another may follow."""
        if self._arriving is not None or self._parser.is_in_head or self._is_broken or self._is_discarding:
            return False
        return not self._exchanges or self._exchanges[-1].keeps_alive

    def _parse_pieces(self) -> None:
        """Parses what arrived a piece at a time, as long as replies are read."""
        while self._unparsed and not (self._is_unread or self._is_full):
            piece, self._unparsed = self._unparsed[:PIECE_BYTES], self._unparsed[PIECE_BYTES:]
            self._parse(piece)
        self._set_reading()

    def _parse(self, data: bytes | memoryview) -> None:
        if self._is_broken or self._is_discarding:
            return
        try:
            self._parser.feed(data)
        except CallError as error:
            if self._arriving is None and self._exchanges and not self._exchanges[-1].keeps_alive:
                self._is_broken = True  # nothing that follows the last request is read
            elif not self._is_discarding:
                self._fail(error)
        self._is_full = len(self._exchanges) > MAX_PIPELINED

    def pause_writing(self) -> None:
        """Reads no more requests until the client reads its replies."""
        self._is_unread, self._since = True, self._loop.time()
        for exchange in self._exchanges:
            if exchange.stream is not None:
                exchange.stream.pause()
        self._set_reading()

    def resume_writing(self) -> None:
        """Reads requests again."""
        self._is_unread, self._since = False, self._loop.time()
        for exchange in self._exchanges:
            if exchange.stream is not None:
                exchange.stream.resume()
        self._read_on()

    def check(self, now: float) -> None:
        """Ends the connection where a deadline has passed.

        Args:
            now: time of the event loop, in seconds.
        """
        waited_s = now - self._since
        if self._is_discarding or self._is_unread:
            if waited_s > (self._limits.idle_s if self._is_unread else DISCARD_S):
                self._transport.abort()
        elif self._parser.is_in_head or self._arriving is not None:
            self._check_arriving(waited_s)
        elif not self._exchanges and waited_s > self._idle_s:
            self._transport.close()

    def stop(self) -> None:
        """Waits a moment for a request that may be on its way; the server stops."""
        if not self._exchanges and not self._parser.is_in_head:
            self._since = self._loop.time()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    def begin(self, head: HttpHead, *, keeps_alive: bool) -> None:
        """Begins an exchange."""
        if self._is_discarding:
            return
        exchange = Exchange(self._state, head, self._flush, keeps_alive=keeps_alive and not self.is_one_too_many)
        self._arriving, self._received_bytes, self._last_head = exchange, 0, head
        self._exchanges.append(exchange)
        if self.is_one_too_many:
            exchange.refuse_early(OverloadError("The server has no room for another connection. Try again soon."))
            return
        exchange.begin()
        if head.waits and exchange.output is None and len(self._exchanges) == 1:
            self._transport.write(CONTINUE)

    def receive(self, body: bytes) -> None:
        """Takes a part of a body."""
        self._received_bytes += len(body)
        if self._arriving is not None:
            self._arriving.receive(body)

    def complete(self) -> None:
        """Ends a request."""
        exchange, self._arriving = self._arriving, None
        if exchange is not None:
            exchange.complete()

    @property
    def _idle_s(self) -> float:
        return self._limits.stopping_s if self._state.is_stopping else self._limits.idle_s

    def _check_arriving(self, waited_s: float) -> None:
        limits = self._limits
        if waited_s <= limits.head_s or self._is_broken:
            return
        if self._parser.is_in_head:
            self._fail(SlowRequestError(f"The head of the request did not arrive within {limits.head_s:g} s."))
        elif self._received_bytes < limits.body_bytes_per_s * waited_s:
            self._fail(
                SlowRequestError(
                    f"The body arrives at {self._received_bytes / waited_s:,.0f} bytes a second; this server waits for "
                    f"no less than {limits.body_bytes_per_s:,}."
                )
            )

    def _fail(self, error: Exception) -> None:
        """Refuses what arrives and ends the connection; requests before it are replied to first."""
        if isinstance(error, MalformedRequestError):
            self._malformed(str(error))
        self._is_broken, exchange = True, self._arriving
        if exchange is None:
            exchange = Exchange(self._state, HttpHead(), self._flush, keeps_alive=False)
            self._exchanges.append(exchange)
        exchange.refuse_early(error)

    def _flush(self) -> None:
        """Writes the replies that are due, in the order of their requests."""
        exchanges = self._exchanges
        while exchanges and exchanges[0].output is not None:
            exchange = exchanges[0]
            self._transport.write(exchange.output or b"")
            if not exchange.keeps_alive:
                self._end(exchange)
                return
            exchanges.popleft()
        if not exchanges:
            self._since = self._loop.time()
        elif (stream := exchanges[0].stream) is not None:
            stream.start(self._transport.write, is_unread=self._is_unread)
        if self._is_full and len(exchanges) <= MAX_PIPELINED:
            self._is_full = False
            self._read_on()

    def _end(self, exchange: Exchange) -> None:
        """Ends the connection after a reply, once the client had the time to read it."""
        for other in self._exchanges:
            other.abandon()
        self._exchanges.clear()
        self._is_discarding, self._arriving = True, None
        self._since, self._received_bytes = self._loop.time(), 0
        if exchange.is_whole:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _read_on(self) -> None:
        """Parses what arrived before, then reads what arrives."""
        if self._unparsed:
            self._loop.call_soon(self._parse_pieces)
        else:
            self._set_reading()

    def _set_reading(self) -> None:
        is_paused = self._is_unread or self._is_full or bool(self._unparsed)
        if is_paused == self._is_paused or self._transport.is_closing():
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
