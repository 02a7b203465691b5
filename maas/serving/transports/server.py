"""The HTTP server: accepts connections, watches their deadlines, and ends without losing what was accepted.

TLS would be a context that `_adopt` hands to the event loop.
"""

import asyncio
import contextlib
import ctypes
import errno
import logging
import resource
import socket
import struct
import time
from collections.abc import Callable

from maas.serving.stopping import GRACE_S
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits, Http1Connection
from maas.serving.workers.connection_counts import ConnectionCounts

BACKLOG = 2048
SPARE_CONNECTIONS = 64  # beyond the limit, for those that are refused
SPARE_FILES = 64  # for models, pipes and logs
CHECK_S, RETRY_S, LOG_S = 1.0, 0.1, 10.0
TURN_S = 0.002  # in which another process that has fewer connections may accept one
HANDSHAKE_S = 0.2  # in which connections that had begun to open when the server was to stop are still accepted
_SO_ATTACH_FILTER = 26  # of Linux; Python has no name for it
_DROP_NEW = (  # of each segment's flags, SYN without ACK
    (0x30, 0, 0, 13),  # A = the byte of the flags
    (0x54, 0, 0, 0x12),  # A &= SYN | ACK
    (0x15, 0, 1, 0x02),  # if A == SYN:
    (0x06, 0, 0, 0),  # keep nothing
    (0x06, 0, 0, 0xFFFFFFFF),  # keep all
)

log = logging.getLogger("maas.serving")


class HttpServer:
    """Serves one listening socket.

    Args:
        state: what all connections share.
        limits: of each connection.
        max_connections: largest number of connections; another one is refused with 503.
        counts: connections of the processes that share the socket; null where it is this one's alone.
    """

    def __init__(
        self,
        state: ServerState,
        limits: ConnectionLimits,
        max_connections: int,
        counts: ConnectionCounts | None = None,
    ) -> None:
        self._counts = counts
        self._state, self._limits, self._max_connections = state, limits, max_connections
        self._connections: set[Http1Connection] = set()
        self._admitted = 0
        self._adopting: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._warnings = RareWarnings()
        self._checks: asyncio.TimerHandle | None = None

    def listen(self, listener: socket.socket) -> None:
        """Starts to accept connections."""
        self._loop, self._listener = asyncio.get_running_loop(), listener
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._note_connections()
        self._loop.add_reader(listener, self._accept)
        self._checks = self._loop.call_later(CHECK_S, self._check)

    async def stop(self) -> None:
        """Replies to what was accepted or waits to be, each connection's last, and ends; for at most `GRACE_S`."""
        self._state.is_stopping = True
        self._state.service.stop()
        refuse_new_connections(self._listener)
        for connection in tuple(self._connections):
            connection.stop()
        await asyncio.sleep(HANDSHAKE_S)
        self._accept(at_most=BACKLOG)
        self._loop.remove_reader(self._listener)
        self._listener.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while self._connections or self._adopting:
                    self._empty.clear()
                    await self._empty.wait()
        self.abort()

    def abort(self) -> None:
        """Ends all connections at once."""
        if self._checks is not None:
            self._checks.cancel()
        for connection in tuple(self._connections):
            connection.abort()

    def _accept(self, at_most: int = 64) -> None:
        """Accepts connections that wait, as long as no other process with the same socket has fewer."""
        for _ in range(at_most):
            if self._counts is not None and self._counts.is_ahead and not self._state.is_stopping:
                self._loop.remove_reader(self._listener)
                self._loop.call_later(TURN_S, self._accept_after_others)
                return
            if not self._accept_next():
                return

    def _accept_after_others(self) -> None:
        """Accepts a connection that waits all the same, since the others are busy."""
        if not self._state.is_stopping:
            self._accept_again()
            self._accept_next()

    def _accept_next(self) -> bool:
        """Accepts a connection, and returns whether another one may wait."""
        try:
            accepted, _address = self._listener.accept()
        except ConnectionAbortedError:
            return True
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._wait_for_files(error)
            return False
        if len(self._connections) + len(self._adopting) >= self._max_connections + SPARE_CONNECTIONS:
            accepted.close()
            self._warnings.warn("A connection was closed at once: there are %d.", self._max_connections)
            return True
        task = self._loop.create_task(self._adopt(accepted))
        self._adopting.add(task)
        task.add_done_callback(self._adopted)
        self._note_connections()
        return True

    async def _adopt(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._connection, accepted)
        except OSError:  # it is gone
            accepted.close()

    def _adopted(self, task: "asyncio.Task[object]") -> None:
        self._adopting.discard(task)
        self._note_connections()
        self._empty.set()

    def _connection(self) -> Http1Connection:
        is_one_too_many = self._admitted >= self._max_connections
        if is_one_too_many:
            self._warnings.warn("A connection was refused: there are %d.", self._max_connections)
        connection = Http1Connection(
            self._state, self._limits, self._lost, self._note_malformed, is_one_too_many=is_one_too_many
        )
        self._connections.add(connection)
        self._state.connections = len(self._connections)
        self._admitted += not is_one_too_many
        return connection

    def _lost(self, connection: Http1Connection) -> None:
        self._connections.discard(connection)
        self._state.connections = len(self._connections)
        self._admitted -= not connection.is_one_too_many
        self._empty.set()
        self._note_connections()

    def _note_connections(self) -> None:
        if self._counts is not None:
            self._counts.note(len(self._connections) + len(self._adopting))

    def _check(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.check(now)
        self._checks = self._loop.call_later(CHECK_S, self._check)

    def _note_malformed(self, message: str) -> None:
        self._warnings.warn("A request was refused: %s", message)

    def _wait_for_files(self, error: OSError) -> None:
        """Accepts nothing for a moment, as there is no file descriptor for it."""
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            raise error
        self._warnings.warn("Connections wait: %s. Raise the limit of open files (ulimit -n).", error.strerror)
        self._loop.remove_reader(self._listener)
        self._loop.call_later(RETRY_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._state.is_stopping:
            self._loop.add_reader(self._listener, self._accept)


class RareWarnings:
    """Writes warnings that clients can provoke at will: each kind once in `LOG_S`, with the number of those between.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}

    def warn(self, form: str, value: object) -> None:
        """Writes a warning, or counts it.

        Args:
            form: of the warning, with one place for the value; it is the kind.
            value: what it is about.
        """
        now = self._clock()
        last, left_out = self._last.get(form, (-LOG_S, 0))
        if now - last < LOG_S:
            self._last[form] = (last, left_out + 1)
            return
        self._last[form] = (now, 0)
        more = f" ({left_out} more like it before)" if left_out else ""
        log.warning(form + more, value)


def connections_that_fit(wanted: int) -> int:
    """Returns how many connections fit into the table of open files, which is made as large as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - SPARE_CONNECTIONS - SPARE_FILES)


def refuse_new_connections(listener: socket.socket) -> None:
    """Lets no more connections begin, so that none gets lost between the last one and the end.

    A filter that drops what would begin one does it, on Linux. Those that have begun go on: a client whose last
    segment of the handshake was dropped would take its connection for open, and lose its request.
    Source: https://docs.kernel.org/networking/filter.html
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _DROP_NEW))
    program = struct.pack("HP", len(_DROP_NEW), ctypes.addressof(code))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
