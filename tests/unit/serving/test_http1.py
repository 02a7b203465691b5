"""HTTP/1.1 as clients speak it, well and badly: raw bytes to real servers."""

import asyncio
import contextlib
import errno
import gc
import http.client
import io
import itertools
import json
import logging
import random
import signal
import socket
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import uvloop

from maas.serving.repository import Repository
from maas.serving.service import Service
from maas.serving.transports import server as servers
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits
from maas.serving.transports.http_heads import joined_fields
from maas.serving.transports.server import HttpServer, RareWarnings, connections_that_fit, refuse_new_connections

BODY = json.dumps({"input_data": [[0] * 64]}).encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"


def post(body: bytes = BODY, *, path: str = "/predict", fields: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n%b" % (path.encode(), size, fields, body)


class Wire:
    """A connection that sends bytes and reads replies."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def reply(self, method: str = "POST") -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(SimpleNamespace(makefile=lambda *_: _Shared(self.file)), method=method)
        response.begin()
        response.content = response.read()
        return response

    def is_closed(self) -> bool:
        return self.file.read(1) == b""


class _Shared(io.BufferedReader):
    """A file that outlives the replies that are read from it."""

    def __init__(self, file) -> None:
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def readline(self, *arguments):
        return self.file.readline(*arguments)

    def read(self, *arguments):
        return self.file.read(*arguments)

    def close(self) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""

    def __del__(self) -> None:
        """Does nothing."""


@contextlib.contextmanager
def wire(server):
    connection = Wire(server.port)
    try:
        yield connection
    finally:
        connection.file.close()
        connection.socket.close()


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
@pytest.mark.parametrize("framing", [b"content-length: %d" % len(BODY), b"transfer-encoding: chunked"])
def test_body_is_kept_when_a_client_wants_to_upgrade(array_server, upgrade, framing):
    fields = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: %b\r\nhttp2-settings: AAMAAABk\r\n" % upgrade
    body = BODY if b"length" in framing else b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    with wire(array_server) as connection:
        for _ in range(2):
            connection.send(b"POST /predict HTTP/1.1\r\nhost: x\r\n%b%b\r\n\r\n" % (fields, framing), body)
            reply = connection.reply()
            assert reply.status == 200
            assert set(json.loads(reply.content)) == {"predictions"}
        connection.send(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n%b\r\n" % fields, LIVE)
        assert [connection.reply("GET").status for _ in range(2)] == [200, 200]


def test_request_is_answered_when_it_arrives_byte_by_byte(array_server):
    with wire(array_server) as connection:
        connection.send(*(bytes([one]) for one in post(fields=b"upgrade: h2c\r\nconnection: upgrade\r\n")))
        assert connection.reply().status == 200


def test_replies_are_the_same_when_heads_come_again_in_any_pieces(array_server):
    """The first replies are of heads that are parsed, later ones of heads that are known."""
    other = json.dumps({"input_data": [[9] * 64]}).encode()
    requests = [
        post(), post(other), LIVE, post(path="/nowhere"), post(b"{", length=1), post(fields=b"connection: upgrade\r\n"),
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + in_chunks(BODY),
    ]  # fmt: skip
    chance = random.Random(0)
    with wire(array_server) as connection:
        replies = []
        for one in requests:
            connection.send(one)
            replies.append(reply_without_id(connection))
        assert [reply[0] for reply in replies] == [200, 200, 200, 404, 400, 200, 200]
        for _ in range(40):
            order = chance.choices(range(len(requests)), k=chance.randint(1, 5))
            stream = b"".join(requests[number] for number in order)
            ends = sorted(chance.sample(range(len(stream)), k=chance.randint(0, 3)))
            for start, end in itertools.pairwise([0, *ends, len(stream)]):
                connection.send(stream[start:end])
                if chance.random() < 0.5:
                    time.sleep(0.001)
            assert [reply_without_id(connection) for _ in order] == [replies[number] for number in order]


@pytest.mark.parametrize("after", [b"", b" ", b" \t "])
def test_blanks_around_a_value_are_no_part_of_it(array_server, after):
    with wire(array_server) as connection:
        connection.send(post(fields=b"x-request-id: \t own%b\r\nexpect:  100-continue%b\r\n" % (after, after)))
        assert connection.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        connection.file.readline()
        reply = connection.reply()
        assert (reply.status, reply.getheader("x-request-id")) == (200, "own")


def test_values_are_joined_when_a_field_comes_several_times():
    fields = [(b"accept", b"a;q=1"), (b"host", b"x"), (b"accept", b"b, c")]
    assert joined_fields(fields) == {b"accept": b"a;q=1, b, c", b"host": b"x"}


@pytest.mark.parametrize("times", [1, 2])
def test_connection_closes_when_its_head_wants_that_as_often_as_it_comes(array_server, times):
    for _ in range(times):
        with wire(array_server) as connection:
            connection.send(post(fields=b"connection: close\r\n"))
            assert connection.reply().getheader("connection") == "close"
            assert connection.is_closed()


def in_chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def reply_without_id(connection: Wire) -> tuple[int, bytes, list[tuple[str, str]]]:
    reply = connection.reply()
    return reply.status, reply.content, [field for field in reply.getheaders() if field[0] != "x-request-id"]


def test_replies_are_in_order_when_requests_are_pipelined(array_server):
    requests = [post(fields=b"x-request-id: a\r\n"), LIVE, post(b"{"), post(fields=b"x-request-id: b\r\n"), LIVE]
    with wire(array_server) as connection:
        connection.send(b"".join(requests * 20))
        replies = [connection.reply() for _ in range(100)]
    assert [reply.status for reply in replies] == [200, 200, 400, 200, 200] * 20
    assert [reply.headers["x-request-id"] for reply in replies[0::5]] == ["a"] * 20
    assert [reply.headers["x-request-id"] for reply in replies[3::5]] == ["b"] * 20


@pytest.mark.parametrize(
    ("request_bytes", "cause"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "0 Host fields"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "2 Host fields"),
        (b"GET / HTTP/1.0\r\nhost: a\r\nHost: b\r\n\r\n", "2 Host fields"),
        (post(fields=b"transfer-encoding: chunked\r\n"), "not HTTP/1.1"),
        (post(fields=b"content-length: 5\r\n"), "not HTTP/1.1"),
        (post(fields=b"content-length : 5\r\n"), "not HTTP/1.1"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n", "not HTTP/1.1"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "coding is"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not HTTP/1.1"),
        (b"GET / HTTP/1.1\nhost: x\n\n", "not HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n", "not HTTP/1.1"),
        (b"GET / HTTP/2.0\r\nhost: x\r\n\r\n", "HTTP 2.0"),
        (b"GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n", "fragment"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not HTTP/1.1"),
    ],
)
def test_connection_ends_with_400_when_a_request_is_malformed(array_server, request_bytes, cause):
    with wire(array_server) as connection:
        connection.send(LIVE + request_bytes + LIVE)
        assert connection.reply("GET").status == 200
        reply = connection.reply()
        assert reply.status == 400
        assert json.loads(reply.content)["code"] == "malformed_request"
        assert cause in json.loads(reply.content)["error"]
        assert reply.headers["connection"] == "close"
        assert connection.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\na: %b\r\n\r\n" % (b"a" * 2**16),
        b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n" % b"".join(b"a: %b\r\n" % (b"a" * 1000) for _ in range(66)),
        b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % (b"a" * 2**16),
        b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n" % (b"a: b\r\n" * 100),
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: %b" % (b"a" * 2**20),
    ],
)
def test_head_is_refused_with_431_when_it_is_too_large(array_server, head):
    with wire(array_server) as connection:
        connection.send(head)
        reply = connection.reply()
        assert (reply.status, json.loads(reply.content)["code"]) == (431, "head_too_large")
        assert connection.is_closed()


def test_memory_stays_when_a_header_has_40_megabytes(start, array_folder):
    with start(f"model={array_folder}") as server, wire(server) as connection:
        process = psutil.Process(server.process.pid)
        assert server.client.post("/predict", content=BODY).status_code == 200
        before = process.memory_info().rss
        connection.send(b"GET / HTTP/1.1\r\nhost: x\r\na: ", *[b"a" * 2**20] * 40)
        assert connection.reply().status == 431
        assert server.client.post("/predict", content=BODY).status_code == 200
        assert process.memory_info().rss - before < 8 * 2**20


def test_largest_head_is_read(array_server):
    fields = b"".join(b"a%02d: %b\r\n" % (number, b"a" * 600) for number in range(98))
    with wire(array_server) as connection:
        connection.send(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n%b\r\n" % fields)
        assert connection.reply().status == 200


def test_client_that_waits_for_leave_gets_it_or_the_refusal(array_server):
    with wire(array_server) as connection:
        connection.send(post(b"", fields=b"expect: 100-continue\r\n", length=len(BODY)))
        assert connection.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.file.readline() == b"\r\n"
        connection.send(BODY)
        assert connection.reply().status == 200
        connection.send(post(b"", fields=b"expect: 100-continue\r\n", length=2**30))
        assert connection.reply().status == 413
        assert connection.is_closed()


@pytest.mark.parametrize("size", [8 * 2**20 + 1, 2**30])
def test_body_is_refused_when_it_is_too_large(array_server, size):
    with wire(array_server) as connection:
        connection.send(post(b"a" * 1000, length=size))
        reply = connection.reply()
        assert (reply.status, json.loads(reply.content)["code"]) == (413, "body_too_large")
        assert reply.headers["connection"] == "close"


def test_body_in_chunks_is_refused_when_it_becomes_too_large(array_server):
    chunk = b"100000\r\n%b\r\n" % (b" " * 2**20)
    with wire(array_server) as connection:
        connection.send(b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", *[chunk] * 9)
        assert connection.reply().status == 413


def test_connection_closes_or_stays_as_the_client_wants(array_server):
    with wire(array_server) as connection:
        connection.send(post(fields=b"connection: close\r\n"))
        assert connection.reply().headers["connection"] == "close"
        assert connection.is_closed()
    with wire(array_server) as connection:
        connection.send(b"GET /v2/health/live HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert connection.reply("GET").headers["connection"] == "keep-alive"
        connection.send(b"GET http://x/v2/health/live?a=b HTTP/1.0\r\n\r\n")
        assert connection.reply("GET").status == 200
        assert connection.is_closed()


def test_head_has_the_length_of_get_and_no_body(array_server):
    with wire(array_server) as connection:
        connection.send(LIVE.replace(b"GET", b"HEAD"), LIVE)
        assert connection.reply("HEAD").headers["content-length"] == str(len(connection.reply("GET").content))


def test_replies_wait_and_memory_stays_when_a_client_reads_none(start, array_folder):
    count = 1000
    with start(f"model={array_folder}") as server, wire(server) as connection:
        size = len(server.client.get("/docs").content)
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        sender = threading.Thread(target=connection.send, args=[LIVE.replace(b"/v2/health/live", b"/docs")] * count)
        sender.start()
        time.sleep(0.5)
        assert process.memory_info().rss - before < 16 * 2**20 < size * count
        assert [len(connection.reply("GET").content) for _ in range(count)] == [size] * count
        sender.join()


def test_connection_beyond_the_limit_is_refused_with_503(start, array_folder):
    with start(f"model={array_folder}", "max_connections=2") as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(wire(server)) for _ in range(2)]
        for connection in held:
            connection.send(LIVE)
            assert connection.reply("GET").status == 200
        another = stack.enter_context(wire(server))
        another.send(LIVE)
        reply = another.reply("GET")
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert another.is_closed()
        held[0].socket.shutdown(socket.SHUT_WR)
        assert held[0].is_closed()
        last = stack.enter_context(wire(server))
        last.send(LIVE)
        assert last.reply("GET").status == 200


def test_pages_of_known_origins_alone_may_read_replies(start, array_folder):
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    with start(f"model={array_folder}", "cors_origins=https://a.example,https://b.example") as server:
        for origin, allowed in (("https://b.example", "https://b.example"), ("https://c.example", None)):
            reply = server.client.post("/predict", content=BODY, headers={"origin": origin})
            assert reply.status_code == 200
            assert reply.headers.get("access-control-allow-origin") == allowed
            asked = server.client.options("/predict", headers={"origin": origin, **preflight})
            assert asked.status_code == (200 if allowed else 405)
            assert asked.headers.get("access-control-allow-headers") == (allowed and "content-type")


def test_server_is_not_ready_and_answers_its_last_requests_when_it_stops(repository, monkeypatch):
    async def scenario(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = []
        for path, is_last in (("/readyz", False), ("/livez", False), ("/v2/models/digits/ready", True)):
            if is_last:
                stopping = asyncio.create_task(server.stop())
                await asyncio.sleep(0)
            writer.write(LIVE.replace(b"/v2/health/live", path.encode()))
            lines.append(await reader.readline())
            rest = await reader.readuntil(b"}")
            assert (b"connection: close" in rest) is is_last
        assert await reader.read() == b""
        writer.close()
        await stopping
        return lines

    found = served(repository, ConnectionLimits(), scenario, monkeypatch)
    assert [line.split()[1] for line in found] == [b"200", b"200", b"503"]


def test_server_goes_on_and_says_so_when_it_is_hung_up(start, array_folder):
    with start(f"model={array_folder}") as server, wire(server) as connection:
        server.process.send_signal(signal.SIGHUP)
        assert "read again" in server.process.stderr.readline()
        connection.send(LIVE)
        assert connection.reply("GET").status == 200


def test_connection_whose_handshake_had_begun_is_accepted_and_no_other_begins():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)  # the handshake ends with the first bytes
        listener.settimeout(5)
        with socket.create_connection(listener.getsockname()) as begun, socket.socket() as late:
            refuse_new_connections(listener)
            begun.sendall(LIVE)
            accepted, _address = listener.accept()
            with accepted:
                assert accepted.recv(len(LIVE)) == LIVE
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())


@pytest.mark.parametrize("attempt", range(5))
def test_no_request_is_lost_when_the_server_stops_under_load(start, array_folder, fresh_client, attempt):
    with start(f"model={array_folder}") as server:
        clients = [fresh_client(server.port, BODY) for _ in range(8)]
        time.sleep(0.3 + 0.01 * attempt)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        assert server.process.wait() == 0
        outcomes = [outcome for client in clients for outcome in client.outcomes]
        assert len(outcomes) > 50
        assert [outcome for outcome in outcomes if outcome.status != 200] == []
        assert server.process.stderr.read() == ""


@pytest.fixture
def repository(array_folder) -> Repository:
    repository = Repository()
    repository.open(array_folder)
    return repository


def served(repository, limits, scenario, monkeypatch, *, max_connections: int = 100):
    """Runs a scenario with the port of a server whose deadlines are short, and the server."""
    monkeypatch.setattr(servers, "CHECK_S", 0.02)

    async def run():
        service = Service(repository)
        state = ServerState(service, BodyBudget(2**20, 2**21))
        listener = socket.create_server(("127.0.0.1", 0))
        server = HttpServer(state, limits, max_connections)
        server.listen(listener)
        try:
            return await scenario(listener.getsockname()[1], server)
        finally:
            if not state.is_stopping:
                await server.stop()
            await service.close()

    return uvloop.run(run())


@pytest.mark.parametrize(
    ("sent", "limits", "first_line"),
    [
        (b"GET / HT", ConnectionLimits(head_s=0.1), b"HTTP/1.1 408 Request Timeout\r\n"),
        (post(length=10_000), ConnectionLimits(head_s=0.1), b"HTTP/1.1 408 Request Timeout\r\n"),
        (b"", ConnectionLimits(idle_s=0.1), b""),
        (LIVE, ConnectionLimits(idle_s=0.1), b"HTTP/1.1 200 OK\r\n"),
    ],
)
def test_connection_ends_when_its_deadline_has_passed(repository, monkeypatch, sent, limits, first_line):
    async def scenario(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        found = await reader.read()
        writer.close()
        return found, server._state.bodies.held_bytes

    found, held = served(repository, limits, scenario, monkeypatch)
    assert found.startswith(first_line)
    assert bool(found) == bool(first_line)
    assert held == 0


def test_requests_leave_nothing_for_the_garbage_collector(repository, monkeypatch):
    async def scenario(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(times: int) -> None:
            for _ in range(times):
                writer.write(post())
                length = int((await reader.readuntil(b"\r\n\r\n")).partition(b"content-length: ")[2].split()[0])
                await reader.readexactly(length)

        await ask(10)
        gc.collect()
        gc.disable()
        try:
            await ask(50)
            return gc.collect()
        finally:
            gc.enable()
            writer.close()

    assert served(repository, ConnectionLimits(), scenario, monkeypatch) < 50


def test_body_may_take_its_time_when_it_arrives_fast_enough(repository, monkeypatch):
    limits = ConnectionLimits(head_s=0.1, idle_s=0.1, body_bytes_per_s=100)

    async def scenario(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"", length=len(BODY)))
        for one in BODY:
            writer.write(bytes([one]))
            await asyncio.sleep(0.002)
        line = await reader.readline()
        writer.close()
        return line

    assert served(repository, limits, scenario, monkeypatch) == b"HTTP/1.1 200 OK\r\n"


def test_connections_wait_and_the_log_says_so_when_files_run_out(repository, monkeypatch, caplog):
    left = [OSError(errno.EMFILE, "Too many open files")] * 3

    class Scarce:
        """A listener without file descriptors at first."""

        def __init__(self, listener) -> None:
            self.listener = listener

        def accept(self):
            if left:
                raise left.pop()
            return self.listener.accept()

        def __getattr__(self, name):
            return getattr(self.listener, name)

    monkeypatch.setattr(servers, "RETRY_S", 0.01)
    create = socket.create_server
    monkeypatch.setattr(socket, "create_server", lambda *arguments: Scarce(create(*arguments)))

    async def scenario(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(LIVE)
        line = await reader.readline()
        writer.close()
        return line

    with caplog.at_level(logging.WARNING, "maas.serving"):
        assert served(repository, ConnectionLimits(), scenario, monkeypatch) == b"HTTP/1.1 200 OK\r\n"
    assert not left
    assert [record.getMessage() for record in caplog.records] == [
        "Connections wait: Too many open files. Raise the limit of open files (ulimit -n)."
    ]


def test_warning_is_written_once_in_a_while_with_the_number_of_those_between(caplog):
    now = [0.0]
    warnings = RareWarnings(lambda: now[0])
    with caplog.at_level(logging.WARNING, "maas.serving"):
        for now[0] in (0.0, 1.0, 2.0, 9.0, 10.5, 11.0):
            warnings.warn("It went wrong: %s", f"at {now[0]:g}")
        warnings.warn("Something else: %s", "a")
    assert [record.getMessage() for record in caplog.records] == [
        "It went wrong: at 0",
        "It went wrong: at 10.5 (3 more like it before)",
        "Something else: a",
    ]


def test_connections_fit_into_the_table_of_open_files():
    assert connections_that_fit(100) == 100
    assert connections_that_fit(10**9) < 10**9
