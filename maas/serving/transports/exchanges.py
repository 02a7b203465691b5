"""One request and its reply on an HTTP/1.1 connection: the body within its limits, the work, the bytes to send."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from maas.errors import MaasError, OverloadError
from maas.serving.engines import Withdraw
from maas.serving.faults import TooLargeError
from maas.serving.handing_over import attempted, start_task
from maas.serving.observers import outcome_of
from maas.serving.prepared import PreparedInference
from maas.serving.protocols.operations import AnyOperation, AnyReply, Reply, Request
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.routing import RouteTable
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget, decompressed_body, require_readable_body
from maas.serving.transports.cors import NO_CORS, CorsPolicy
from maas.serving.transports.http_heads import HttpHead, reply_head, streamed_head
from maas.serving.transports.known_heads import FoundOperation, KnownHead, KnownHeads
from maas.serving.transports.reply_streams import ReplyStream
from maas.serving.transports.statuses import CLIENT_GONE, http_refusal

CLOSE, KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"


@dataclass
class ServerState:
    """What all connections of a server share.

    Args:
        service: answers requests.
        bodies: bytes of all bodies.
        cors: pages of other origins that may read replies.
        is_stopping: whether the server ends, and connections with it.
        connections: number of those that are open; 0 where nobody counts them.
        known_heads: heads of requests that need not be parsed again.
    """

    service: Service
    bodies: BodyBudget
    cors: CorsPolicy = field(default=NO_CORS)
    is_stopping: bool = False
    connections: int = 0
    known_heads: KnownHeads = field(default_factory=KnownHeads)


class Exchange:
    """A request that arrives, is worked on and is replied to.

    Args:
        state: what all connections of a server share.
        head: of the request.
        ready: is called once `output` is there.
        keeps_alive: whether the client wants the connection to stay open.
    """

    __slots__ = (
        "_body", "_encoding", "_held", "_known", "_operation", "_ready", "_start", "_state", "_withdraw", "head",
        "is_whole", "keeps_alive", "output", "request", "stream",
    )  # fmt: skip

    def __init__(self, state: ServerState, head: HttpHead, ready: Callable[[], None], *, keeps_alive: bool) -> None:
        self._state, self.head, self._ready, self.keeps_alive = state, head, ready, keeps_alive
        self._start = time.perf_counter()
        self._operation: AnyOperation | None = None
        self._body: bytes | bytearray = b""
        self._encoding = b""
        self._held = 0
        self._withdraw: Withdraw | None = None
        self._known: Reply | Exception | None = None
        self.is_whole = False
        self.output: bytes | None = None
        self.stream: ReplyStream | None = None
        self.request = Request(
            metadata=head.metadata, query=head.query, request_id=state.service.request_id(head.request_id)
        )
        if head.timeout or head.priority:
            self.request.timeout, self.request.priority = head.timeout, head.priority

    def begin(self, known: KnownHead | None = None) -> None:
        """Finds what is wanted, and room for the body; what is refused is refused before its body arrives.

        Args:
            known: the head, if it came before.
        """
        head, routes, known_heads = self.head, self._state.service.routes, self._state.known_heads
        try:
            if head.method == "OPTIONS":
                self._known = self._state.cors.preflight(head)
                if self._known is not None:
                    return
            found = None if known is None else known_heads.found(known, routes)
            if found is None:
                found = self._found(routes)
                if known is not None:
                    known_heads.keep(known, found)
            self._operation, self.request.values, self._encoding = found
            if head.body_bytes and self._operation.takes_body:
                self._held = self._state.bodies.hold(head.body_bytes, 0)
        except (TooLargeError, OverloadError) as error:
            self.refuse_early(error)
        except MaasError as error:
            self._known = error
            if head.waits:
                self.refuse_early(error)

    def _found(self, routes: RouteTable) -> FoundOperation:
        """Finds what the head wants; the operation is kept before its body is refused, as it knows the reply's form."""
        head, encoding = self.head, b""
        operation, values = routes.find(head.method, head.path)
        self._operation = operation
        if operation.takes_body:
            encoding = require_readable_body(head.media_type, head.encoding, takes_forms=operation.takes_forms)
        return FoundOperation(operation, values, encoding)

    def take_whole(self, known: KnownHead, body: bytes) -> None:
        """Begins and completes a request that arrived in one piece, and whose head came before."""
        prepared = self._state.known_heads.prepared(known, self._state.service)
        if prepared is None or not self._take_row(prepared, body):
            self.begin(known)
            self._body = body
            self.complete()

    def _take_row(self, prepared: PreparedInference, body: bytes) -> bool:
        """Lets a prepared inference reply, if there is room for the body and it is one that is prepared for."""
        bodies, request = self._state.bodies, self.request
        if not bodies.has_room(len(body)):
            return False
        request.body, self._operation, self.is_whole = body, prepared.operation, True
        withdraw = attempted(self._done, prepared.begin, request, self._done, self._state.connections)
        if withdraw is None or self.output is not None:
            return self.output is not None
        self._withdraw, self._held = withdraw, len(body)
        bodies.held_bytes += self._held
        return True

    def receive(self, chunk: bytes) -> None:
        """Takes a part of the body; parts that nobody wants are thrown away, and count as long as they are awaited."""
        if self.output is not None:
            return
        size = len(self._body) + len(chunk)
        try:
            if size > self._held:
                self._held = self._state.bodies.hold(size, self._held)
        except (TooLargeError, OverloadError) as error:
            self.refuse_early(self._known if isinstance(self._known, Exception) else error)
            return
        if not self._body:
            self._body = chunk
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += chunk

    def complete(self) -> None:
        """Lets the service reply to the whole request."""
        self.is_whole = True
        if self.output is not None:
            return
        if self._known is not None:
            self._done(self._known)
        elif self._operation is None:
            self._done(RuntimeError("No operation was looked for."))
        elif self._encoding:
            self._withdraw = start_task(self._decompressed(self._operation), self._done)
        else:
            self.request.body, self._body = self._body, b""
            self._withdraw = self._state.service.begin(self._operation, self.request, self._done)

    def refuse_early(self, error: Exception) -> None:
        """Replies before the request has arrived; the connection ends with it."""
        self.keeps_alive = False
        self._done(error)

    def abandon(self) -> None:
        """Ends the work, as nobody reads its reply."""
        if self.output is None:
            if self._withdraw is not None:
                self._withdraw()
            self.output = b""
            self._close(CLIENT_GONE)

    async def _decompressed(self, operation: AnyOperation) -> AnyReply:
        body, self._body = self._body, b""
        self.request.body, self._held = await decompressed_body(body, self._encoding, self._state.bodies, self._held)
        return await self._state.service.respond(operation, self.request)

    def _done(self, outcome: AnyReply | BaseException) -> None:
        if self.output is not None:
            return
        if isinstance(outcome, Reply):
            status, reply = 304 if outcome.is_unchanged else 200, outcome
        elif isinstance(outcome, StreamedReply):
            self._begin_stream(outcome)
            return
        else:
            status, reply = http_refusal(outcome, self._operation)
            self.keeps_alive &= status != 413
        connection = self._connection_field(reply)
        extra = self._state.cors.fields(self.head.origin) if self.head.origin else b""
        head = reply_head(status, reply, self.request.request_id, connection, extra)
        self.output = head if self.head.method == "HEAD" or status == 304 else head + reply.body
        self._close(status)
        self._ready()

    def _begin_stream(self, reply: StreamedReply) -> None:
        """Lets the connection write a reply as it is made, once the replies before are written."""
        is_chunked = not self.head.is_old
        self.keeps_alive &= is_chunked
        connection = self._connection_field(reply)
        extra = self._state.cors.fields(self.head.origin) if self.head.origin else b""
        head = streamed_head(reply, self.request.request_id, connection, extra, is_chunked=is_chunked)
        self.stream = ReplyStream(head, reply, self._end_stream, is_chunked=is_chunked)
        self._withdraw = self.stream.cancel
        self._ready()

    def _end_stream(self, fault: BaseException | None) -> None:
        stream, status, body = self.stream, 200, None
        if stream is None or self.output is not None:
            return
        if fault is not None:
            status, refusal = http_refusal(fault, self._operation)
            body = refusal.body
        self.output = stream.last_bytes(body)
        self._close(status)
        self._ready()

    def _connection_field(self, reply: AnyReply) -> bytes:
        """Returns the field that says what becomes of the connection; empty where it is what a client expects."""
        self.keeps_alive &= not self._state.is_stopping
        if not self.keeps_alive:
            return b"" if (b"connection", b"close") in reply.metadata else CLOSE
        return KEEP_ALIVE if self.head.is_old else b""

    def _close(self, status: int) -> None:
        """Gives back the body's bytes, and shows the outcome."""
        self._state.bodies.held_bytes -= self._held
        self._held, self._body, self.request.body, self._withdraw = 0, b"", b"", None
        seconds = time.perf_counter() - self._start
        head = self.head
        self._state.service.observe(outcome_of(head.method, head.path, self._operation, self.request, status, seconds))
