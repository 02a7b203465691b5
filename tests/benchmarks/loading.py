"""Load on a server over some connections for a while, by wrk, or by a client of its own where wrk is not installed.

Each connection sends its next request once it has the reply to the last one.
"""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

US = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000}
METHOD = 'wrk.method = "POST"'
IN_TURN = """
local requests, sent = {{}}, 0
function init()
  for i = 1, {count} do requests[i] = wrk.format(nil, nil, nil, io.open("{folder}/" .. i, "rb"):read("*a")) end
end
function request()
  sent = sent + 1
  return requests[(sent - 1) % {count} + 1]
end
"""


class RefusedError(Exception):
    """A server does not reply as it should."""


@dataclass(frozen=True)
class Target:
    """What is requested, and where.

    Args:
        server: name of the server.
        path: path of the endpoint.
        bodies: one a request, in turn.
        headers: names and values.
    """

    server: str
    path: str
    bodies: tuple[bytes, ...]
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


@dataclass(frozen=True)
class Loaded:
    """One measurement: number of replies, replies a second, and percentiles of their time in microseconds."""

    requests: int
    rate: float
    p50_us: float
    p99_us: float


def loaded(url: str, target: Target, connections: int, seconds: float) -> Loaded:
    """Loads an endpoint from a process of its own."""
    load = loaded_by_wrk if shutil.which("wrk") else loaded_by_client
    with tempfile.TemporaryDirectory() as scratch:
        for number, body in enumerate(target.bodies, 1):
            (Path(scratch) / str(number)).write_bytes(body)
        return load(url, target, connections, seconds, Path(scratch))


def loaded_by_wrk(url: str, target: Target, connections: int, seconds: float, bodies: Path) -> Loaded:
    """Loads by wrk; one body alone is prepared once, so that no Lua runs for each request.

    Raises:
        RefusedError: a reply had another status than 200, or there was none.
    """
    one = f'wrk.body = io.open("{bodies}/1", "rb"):read("*a")'
    count = len(target.bodies)
    headers = [f'wrk.headers["{name}"] = "{value}"' for name, value in target.headers]
    script = bodies / "post.lua"
    script.write_text("\n".join([METHOD, *headers, one if count == 1 else IN_TURN.format(count=count, folder=bodies)]))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout=60s", "--latency", "-s", str(script)]
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        lines = [line.strip() for line in out.splitlines() if line.strip().startswith(("Non-2xx", "Socket errors"))]
        raise RefusedError(f"{target.server} refuses requests at {connections} connections: {', '.join(lines)}")
    p50, p99 = (
        float(found[1]) * US[found[2]] for found in (re.search(rf"{part}%\s+([\d.]+)(\w+)", out) for part in (50, 99))
    )
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return Loaded(requests, float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), p50, p99)


def loaded_by_client(url: str, target: Target, connections: int, seconds: float, bodies: Path) -> Loaded:
    """Does the same without wrk."""
    command = [sys.executable, __file__, url, str(connections), str(seconds), json.dumps(target.headers), str(bodies)]
    return Loaded(*json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


class Client(asyncio.Protocol):
    """One connection that sends again as soon as it has a reply."""

    def __init__(self, requests: list[bytes], times: list[float]) -> None:
        self.requests, self.times, self.received = requests, times, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.requests[len(self.times) % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(self.received.decode())
            self.received = b""
            self.times.append(time.perf_counter() - self.start)
            self.send()


async def load(url: httpx.URL, connections: int, seconds: float, headers: list[list[str]], bodies: list[bytes]) -> None:
    """Sends over some connections for a while; prints how many replies came, their rate and their times."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {url.path} HTTP/1.1\r\nhost: x\r\n{fields}content-length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    times: list[float] = []
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(requests, times), "127.0.0.1", url.port)
    await asyncio.sleep(0.3)
    times.clear()
    start = time.perf_counter()
    await asyncio.sleep(seconds)
    passed_s, percentiles = time.perf_counter() - start, statistics.quantiles(times, n=100)
    print(json.dumps([len(times), len(times) / passed_s, 1e6 * percentiles[49], 1e6 * percentiles[98]]))


if __name__ == "__main__":
    url, connections, seconds, headers, folder = sys.argv[1:]
    files = sorted(Path(folder).iterdir(), key=lambda file: int(file.name))
    bodies = [file.read_bytes() for file in files]
    uvloop.run(load(httpx.URL(url), int(connections), float(seconds), json.loads(headers), bodies))
