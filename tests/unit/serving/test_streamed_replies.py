"""Replies that are written as they come: raw bytes to a server in this process, whose parts the test makes."""

import asyncio
import json
import socket

import pytest
import uvloop

from maas.errors import OverloadError
from maas.serving.protocols.operations import Action
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.repository import Repository
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits
from maas.serving.transports.server import HttpServer

POST = b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
PARTS = 500
"""Of 64 KiB, in a stream that nobody reads."""
LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"


class Streaming(Action):
    """Streams parts that are put into a queue: bytes, a fault, or null for the end."""

    protocol = "test"
    path = "/stream"
    summary = "Streams."

    def __init__(self) -> None:
        self.parts = asyncio.Queue()
        self.made = 0
        self.closed = asyncio.Event()

    async def perform(self, request):
        return StreamedReply(self._parts(), lambda body: b"fault: " + body, b"text/plain", ((b"maas-model", b"m"),))

    async def _parts(self):
        try:
            while (part := await self.parts.get()) is not None:
                if isinstance(part, Exception):
                    raise part
                self.made += 1
                yield part
        finally:
            self.closed.set()

    def document(self, snapshot):
        raise NotImplementedError


class Observed:
    def __init__(self) -> None:
        self.statuses: list[int] = []

    def observe(self, outcome) -> None:
        self.statuses.append(outcome.status)


@pytest.fixture(scope="module")
def repository(array_folder) -> Repository:
    repository = Repository()
    repository.open(array_folder)
    return repository


def served(repository, scenario, limits=ConnectionLimits()):  # noqa: B008  frozen
    """Runs a scenario with a reader and a writer to a server that streams, the operation, and the observer."""

    async def run():
        operation, observed = Streaming(), Observed()
        service = Service(repository, pages=[operation], observers=[observed])
        state = ServerState(service, BodyBudget(2**20, 2**21))
        server = HttpServer(state, limits, 10)
        listener = socket.create_server(("127.0.0.1", 0))
        server.listen(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            return await scenario(reader, writer, operation, observed, server)
        finally:
            writer.close()
            if not state.is_stopping:
                await server.stop()

    return uvloop.run(run())


async def head_of(reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_parts_arrive_as_chunks_when_they_are_made(repository):
    async def scenario(reader, writer, operation, observed, _):
        writer.write(POST)
        operation.parts.put_nowait(b"first")
        head = await head_of(reader)
        first = await reader.readuntil(b"first\r\n")
        operation.parts.put_nowait(b"")  # nothing yet: an empty chunk would end the body
        operation.parts.put_nowait(b"x" * 20)
        second = await reader.readuntil(b"x" * 20 + b"\r\n")
        operation.parts.put_nowait(None)
        end = await reader.readuntil(b"0\r\n\r\n")
        writer.write(LIVE)
        return head, first, second, end, await head_of(reader), observed.statuses

    head, first, second, end, next_head, statuses = served(repository, scenario)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ntransfer-encoding: chunked\r\n" in head
    assert b"\r\nmaas-model: m\r\n" in head
    assert b"content-length" not in head
    assert (first, second, end) == (b"5\r\nfirst\r\n", b"14\r\n" + b"x" * 20 + b"\r\n", b"0\r\n\r\n")
    assert next_head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert statuses == [200, 200]


def test_end_of_the_connection_ends_the_body_when_the_client_speaks_http_1_0(repository):
    async def scenario(reader, writer, operation, *_):
        writer.write(b"POST /stream HTTP/1.0\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n")
        for part in (b"one ", b"two", None):
            operation.parts.put_nowait(part)
        return await reader.read()

    head, _, body = served(repository, scenario).partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"transfer-encoding" not in head
    assert body == b"one two"


def test_work_ends_when_the_client_leaves(repository):
    async def scenario(reader, writer, operation, observed, _):
        writer.write(POST)
        operation.parts.put_nowait(b"first")
        await reader.readuntil(b"first")
        writer.close()
        await operation.closed.wait()
        return observed.statuses

    assert served(repository, scenario) == [499]


def test_work_ends_when_the_client_leaves_before_its_turn(repository):
    async def scenario(reader, writer, operation, observed, _):
        writer.write(POST + POST)
        operation.parts.put_nowait(b"first")
        await reader.readuntil(b"first")
        writer.close()
        while len(observed.statuses) < 2:  # noqa: ASYNC110  the server makes it true
            await asyncio.sleep(0.001)
        await operation.closed.wait()
        return observed.statuses

    assert served(repository, scenario) == [499, 499]


def test_next_reply_waits_when_requests_are_pipelined(repository):
    async def scenario(reader, writer, operation, *_):
        writer.write(POST + LIVE + POST)
        for part in (b"first", None, b"second", None):
            operation.parts.put_nowait(part)
        return await reader.readuntil(b"second\r\n0\r\n\r\n")

    found = served(repository, scenario)
    assert found.index(b"first") < found.index(b'{"live":true}') < found.index(b"second")


def test_nothing_is_made_when_the_client_does_not_read(repository):
    async def scenario(reader, writer, operation, *_):
        for _ in range(PARTS):
            operation.parts.put_nowait(b"x" * 2**16)
        operation.parts.put_nowait(None)
        reader._transport.pause_reading()
        writer.write(POST)
        made = -1
        while operation.made != made or not made:  # until the kernel's buffers are full
            made = operation.made
            await asyncio.sleep(0.1)
        reader._transport.resume_reading()
        await head_of(reader)
        for _ in range(PARTS):
            await reader.readexactly(len(b"10000\r\n") + 2**16 + len(b"\r\n"))
        return made, await reader.readexactly(len(b"0\r\n\r\n"))

    made, end = served(repository, scenario)
    assert made < PARTS / 2  # what the buffers of the system hold
    assert end == b"0\r\n\r\n"


def test_connection_ends_when_the_client_never_reads(repository, monkeypatch):
    monkeypatch.setattr("maas.serving.transports.server.CHECK_S", 0.02)

    async def scenario(reader, writer, operation, observed, _):
        for _ in range(PARTS):
            operation.parts.put_nowait(b"x" * 2**16)
        reader._transport.pause_reading()
        writer.write(POST)
        await operation.closed.wait()
        return observed.statuses

    assert served(repository, scenario, ConnectionLimits(idle_s=0.2)) == [499]


@pytest.mark.parametrize(("fault", "status"), [(OverloadError("No room."), 503), (RuntimeError("broken"), 500)])
def test_stream_ends_with_the_fault_when_it_breaks_in_the_middle(repository, fault, status):
    async def scenario(reader, writer, operation, observed, _):
        writer.write(POST)
        operation.parts.put_nowait(b"first")
        operation.parts.put_nowait(fault)
        return await reader.readuntil(b"\r\n0\r\n\r\n"), observed.statuses

    found, statuses = served(repository, scenario)
    body = json.loads(found.partition(b"fault: ")[2].partition(b"\r\n")[0])
    assert body["error"].startswith("No room." if status == 503 else "The server failed; its log has more under id")
    assert statuses == [status]


def test_stream_is_finished_when_the_server_stops(repository):
    async def scenario(reader, writer, operation, observed, server):
        writer.write(POST)
        operation.parts.put_nowait(b"first")
        await reader.readuntil(b"first\r\n")
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.01)
        operation.parts.put_nowait(b"last")
        operation.parts.put_nowait(None)
        rest = await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await stopping
        return rest, observed.statuses

    rest, statuses = served(repository, scenario)
    assert rest == b"4\r\nlast\r\n0\r\n\r\n"
    assert statuses == [200]
