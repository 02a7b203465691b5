"""The generator: sends each request when it is due, and times it from that moment to the end of its reply.

A loop over `select`, whose timeouts are exact to microseconds where those of event loops are to milliseconds.
"""

import math
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable

import httptools
import numpy as np
from numpy.typing import NDArray

from maas.errors import ServerError, one_line
from maas.load_testing.connection import Connection
from maas.load_testing.measurement import Load
from maas.load_testing.target import LoadTarget

LONGEST_WAIT_S = 0.05
"""Timeouts of requests are noticed so late at most."""


class Generator:
    """Sends requests over a number of connections, and keeps these from one rate to the next.

    Args:
        target: what is sent, and where to.
        connections: the most that are open.
        timeout_s: time after which a request that was sent has failed.

    Raises:
        ServerError: the host has no address.
    """

    def __init__(self, target: LoadTarget, connections: int, timeout_s: float) -> None:
        self._requests = target.requests
        self._timeout_s = timeout_s
        address = _address_of(target.host, target.port)
        self._connections = [Connection(*address) for _ in range(connections)]
        self._free = deque(self._connections)
        self._busy: dict[int, Connection] = {}

    def run(self, due_s: NDArray[np.float64], seconds: float) -> Load:
        """Sends a request at each of some moments, and waits for the replies.

        What could not be sent in time, as no connection was free, has failed.

        Args:
            due_s: moments after the start in order, in seconds.
            seconds: time in which requests are due.
        """
        run = _Run(due_s.tolist(), seconds)
        while run.has_due or self._busy:
            if run.now() > seconds and not self._free:
                run.give_up()
            was_free = bool(self._free)
            self._wait(run)
            self._send(run, was_free=was_free)
        return run.load()

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections:
            connection.close()

    def _wait(self, run: "_Run") -> None:
        """Waits until a request is due, or something has come; reads and writes."""
        wait_s = min(LONGEST_WAIT_S, run.next_due_s - run.now()) if self._free else LONGEST_WAIT_S
        writing = [number for number, one in self._busy.items() if one.unsent]
        began = run.now()
        readable, writable, _ = select.select(list(self._busy), writing, [], max(0.0, wait_s))
        run.idle_s += run.now() - began
        for number in writable:
            self._step(run, number, self._busy[number].write)
        for number in readable:
            if number in self._busy:
                self._step(run, number, self._busy[number].read)
        if not readable:
            oldest = run.now() - self._timeout_s
            for number in [number for number, one in self._busy.items() if one.sent < oldest]:
                self._finish(run, number, "timeout")

    def _send(self, run: "_Run", *, was_free: bool) -> None:
        """Sends what is due, as far as connections are free."""
        while self._free and run.next_due_s <= (now := run.now()):
            connection = self._free.popleft()
            number, due = run.take(now, was_free=was_free)
            try:
                connection.begin(self._requests[number % len(self._requests)], due, now)
            except OSError as error:
                self._busy[-1] = connection
                self._finish(run, -1, _failure(error))
            else:
                self._busy[connection.fileno()] = connection

    def _step(self, run: "_Run", number: int, step: Callable[[], str | None]) -> None:
        """Reads or writes at a connection that is ready for it."""
        try:
            outcome = step()
        except (OSError, httptools.HttpParserError) as error:
            self._finish(run, number, _failure(error))
        else:
            if outcome is not None:
                self._finish(run, number, outcome)

    def _finish(self, run: "_Run", number: int, failure: str) -> None:
        connection = self._busy.pop(number)
        run.note(connection.due, failure)
        if failure and not failure[0].isdigit():
            connection.close()
        self._free.append(connection)


class _Run:
    """The requests of one rate: which is next, and what became of the others."""

    def __init__(self, due_s: list[float], seconds: float) -> None:
        self._due_s = due_s
        self._seconds = seconds
        self._next = 0
        self._start, self._cpu_s = time.perf_counter(), time.process_time()
        self._latencies_s: list[float] = []
        self._late_s: list[float] = []
        self._errors: Counter[str] = Counter()
        self._last_s = 0.0
        self.idle_s = 0.0

    def now(self) -> float:
        """Returns the time since the start, in seconds."""
        return time.perf_counter() - self._start

    @property
    def has_due(self) -> bool:
        """Whether a request is still to be sent."""
        return self._next < len(self._due_s)

    @property
    def next_due_s(self) -> float:
        """When the next request is due; infinite where there is none."""
        return self._due_s[self._next] if self.has_due else math.inf

    def take(self, now: float, *, was_free: bool) -> tuple[int, float]:
        """Returns number and moment of the next request, which is sent now.

        Args:
            now: the time.
            was_free: whether a connection was free already when the request was waited for.
        """
        number, due = self._next, self._due_s[self._next]
        self._next += 1
        if was_free:
            self._late_s.append(now - due)
        return number, due

    def note(self, due: float, failure: str) -> None:
        """Notes what became of a request: an empty failure is a success."""
        now = self.now()
        if failure:
            self._errors[failure] += 1
        else:
            self._latencies_s.append(now - due)
            self._last_s = now

    def give_up(self) -> None:
        """Lets all that is still to be sent fail."""
        if self.has_due:
            self._errors["not sent in time"] += len(self._due_s) - self._next
            self._next = len(self._due_s)

    def load(self) -> Load:
        """Returns what was measured."""
        failed = [math.inf] * self._errors.total()
        wall_s = self.now()
        sent = self._next - self._errors["not sent in time"]
        return Load(
            rate=len(self._due_s) / self._seconds,
            seconds=max(self._seconds, self._last_s),
            latencies_ms=np.sort(np.array(self._latencies_s + failed)) * 1000,
            errors=dict(self._errors),
            late_ms=1000 * float(np.percentile(self._late_s, 99)) if self._late_s else 0.0,
            busy_fraction=1 - self.idle_s / wall_s,
            cpu_fraction=(time.process_time() - self._cpu_s) / wall_s,
            queued_fraction=1 - len(self._late_s) / max(1, sent),
        )


def _address_of(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"{host} has no address: {one_line(error)}.") from error
    domain, _, _, _, address = found[0]
    return domain, (str(address[0]), int(address[1]))


def _failure(error: Exception) -> str:
    """Returns in a word or two what happened to a connection."""
    if isinstance(error, httptools.HttpParserError):
        return "no HTTP"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "closed" if isinstance(error, ConnectionError) else type(error).__name__
