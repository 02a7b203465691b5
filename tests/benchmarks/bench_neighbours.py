"""Good clients beside a hostile one: how many of their requests fail, their p99, and the memory that the server takes.

    python -m tests.benchmarks.bench_neighbours [SECONDS]

Eight connections carry small requests that are due at times of their own; a latency counts from then. The hostile
client goes through wrong shapes, broken JSON, NaN, half-closed connections, a header of 40 MB, 8 MB of empty lists, and
what `bench_hostile` has for the model, one after the other; all the while it holds connections whose heads or bodies
come a byte at a time. The good clients are measured for SECONDS (60) without it, while it works at another server of
the same model, and beside it, in turns; the p99 are those of the turn with the median ratio. The other server shows
what sharing the processors costs, which no server can help. It takes about eight minutes for the two models, and ends
with status 1 if a good request failed.
"""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop

from maas.load_testing.generator import Generator
from maas.load_testing.rates import arrivals
from maas.load_testing.settings import LoadSettings
from maas.load_testing.target import load_target
from maas.serving.settings import ServerSettings
from tests.benchmarks.bench_hostile import (
    LEGAL_BYTES,
    ROOT,
    Peak,
    asked,
    cases,
    exchanged,
    make_bundle,
    request_of,
    server,
    small_bundles,
)

SECONDS, ROUNDS = 60.0, 5
GOOD_CONNECTIONS, GOOD_RATE, WARM_UP_S = 8, 160.0, 1.0
SLOW_CONNECTIONS, SLOW_S = 16, 0.1
LARGEST_BODY, LARGEST_PICTURE = ServerSettings().max_body_bytes, 4 * ServerSettings().max_pixels  # bytes, in Pillow
CLOSED, LEFT = "closed without a reply", "open when the client left"
LISTS = b'{"input_data": [' + b",".join([b"[]"] * ((LEGAL_BYTES - 64) // 3)) + b"]}"
UNFIT = {
    "wrong shapes": (
        b'{"input_data": [[1, 2], [3]]}',
        b'{"input_data": [[[[[0]]]]]}',
        b'{"input_data": 5}',
        b"[]",
        b"{}",
    ),
    "broken JSON": (b'{"input_data": [[1, 2', b'{"input_data": [[1,, 2]]}', b"\xff\xfe", b""),
    "NaN": (b'{"input_data": [[NaN]]}', b'{"input_data": [[Infinity]]}', b'{"input_data": [[1e999]]}'),
    "empty lists": (LISTS,),
}
HEAD = b"POST /predict HTTP/1.1\r\nhost: x\r\n"
LARGE_HEAD = HEAD + b"x-large: " + b"a" * 40_000_000
HALVES = (b"", HEAD, HEAD + b"content-length: 100\r\n\r\n{", request_of("/predict", b"{}"))
SLOW = {"slow heads": HEAD + b"x-slow: ", "slow bodies": HEAD + b"content-length: 10000\r\n\r\n"}
MODULE = "tests.benchmarks.bench_neighbours"
Answers = dict[str, Counter[str]]
More = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


class Good(NamedTuple):
    """What the good clients found in one of the three ways."""

    requests: int
    errors: dict[str, int]
    p99_ms: float
    longest_ms: float


class Round(NamedTuple):
    """What the good clients found alone, with the hostile one at another server, and beside it."""

    alone: Good
    elsewhere: Good
    beside: Good


def main(seconds: float = SECONDS) -> None:
    """Measures a model of arrays and one of pictures; prints a table and what the hostile client was answered."""
    print(
        "| model | good requests | failed | p99 ms alone | it elsewhere | beside it | times alone | times elsewhere ",
        end="",
    )
    print("| longest ms alone | it elsewhere | beside it | server grew MB | stayed | reader grew MB |")
    print("|---" * 14 + "|", flush=True)
    errors: Counter[str] = Counter()
    replies = []
    for kind in ("array", "image"):
        with tempfile.TemporaryDirectory() as scratch:
            folder = make_bundle(small_bundles(), kind, Path(scratch) / "bundle")
            with server(folder) as (port, process), server(folder) as (other, _):
                errors += measured(kind, (port, other), process, seconds / ROUNDS, replies)
    limits = f"{LARGEST_BODY / 2**20:.0f} MB and the largest decoded picture {LARGEST_PICTURE / 2**20:.0f} MB"
    print("\n".join([f"The largest body is {limits}. Replies to the hostile client:", *replies]))
    if errors:
        sys.exit(f"Good requests failed: {dict(errors)}.")


def measured(
    kind: str, ports: tuple[int, int], process: psutil.Process, seconds: float, replies: list[str]
) -> Counter[str]:
    """Lets the good clients work alone and beside the hostile one, in turns; prints a line of the table.

    Args:
        kind: of the model.
        ports: of the server, and of another one.
        process: the server's.
        seconds: time of a turn.
        replies: lines to which the hostile client's are appended.

    Returns:
        How many good requests failed in what way.
    """
    port, other = ports
    for one in ports:
        asyncio.run(asked(one, "/predict", b" " * 20_000))  # so that the process that reads large bodies has started
    good(port, seconds, Peak(process))
    peak, first, answers = Peak(process), Peak(process), defaultdict(Counter)
    first.look()
    turns = []
    for _ in range(ROUNDS):
        alone = good(port, seconds, peak)
        with hostile(other, kind, defaultdict(Counter)):
            elsewhere = good(port, seconds, peak)
        with hostile(port, kind, answers):
            turns.append(Round(alone, elsewhere, good(port, seconds, peak)))
    grown = peak.rss - first.rss, process.memory_info().rss - first.rss, peak.children_rss - first.children_rss
    print(row(kind, turns, [one / 2**20 for one in grown]), flush=True)
    for name, found in answers.items():
        replies.append(f"  {kind}, {name}: {', '.join(f'{count} × {one}' for one, count in sorted(found.items()))}")
    return sum((Counter(one.errors) for turn in turns for one in turn), Counter())


def row(kind: str, turns: list[Round], grown_mb: list[float]) -> str:
    """Returns a line of the table.

    Args:
        kind: of the model.
        turns: what the good clients found.
        grown_mb: memory of the server at its peak and at the end, and of the process that reads large bodies.
    """
    middle = sorted(turns, key=lambda turn: turn.beside.p99_ms / turn.alone.p99_ms)[ROUNDS // 2]
    beside_ms, ratios = middle.beside.p99_ms, [middle.beside.p99_ms / one.p99_ms for one in middle[:2]]
    longest = [max(one.longest_ms for one in ones) for ones in zip(*turns, strict=True)]
    every = [one for turn in turns for one in turn]
    failed = sum(sum(one.errors.values()) for one in every)
    numbers = middle.alone.p99_ms, middle.elsewhere.p99_ms, beside_ms, *ratios
    cells = [f"{sum(one.requests for one in every):,}", f"{failed}", *(f"{one:.1f}" for one in numbers)]
    return f"| {' | '.join([kind, *cells, *(f'{one:.0f}' for one in (*longest, *grown_mb))])} |"


def good(port: int, seconds: float, peak: Peak) -> Good:
    """Runs the good clients in a process of their own; looks at the server's memory meanwhile."""
    command = [sys.executable, "-m", MODULE, "good", str(port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as clients:
        while clients.poll() is None:
            peak.look()
            time.sleep(0.05)
        return Good(*json.loads(clients.stdout.read()))


def good_clients(port: int, seconds: float) -> None:
    """Sends the documentation's example at even distances; prints the number of requests, the errors and the p99."""
    settings = LoadSettings(f"http://127.0.0.1:{port}")
    generator = Generator(load_target(settings), GOOD_CONNECTIONS, settings.timeout_s)
    generator.run(arrivals("even", GOOD_RATE, WARM_UP_S), WARM_UP_S)
    load = generator.run(arrivals("even", GOOD_RATE, seconds), seconds + settings.timeout_s)  # late ones are sent too
    generator.close()
    print(json.dumps(Good(load.requests, dict(load.errors), load.percentile_ms(99), load.longest_ms)))


@contextlib.contextmanager
def hostile(port: int, kind: str, answers: Answers) -> Iterator[None]:
    """Lets the hostile client work in a process of its own; adds what it was answered."""
    command = [sys.executable, "-m", MODULE, "hostile", str(port), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as client:
        client.stdout.readline()
        yield
        client.stdin.close()
        for name, found in json.loads(client.stdout.read()).items():
            answers[name].update(found)


async def hostile_client(port: int, kind: str) -> None:
    """Works until its input ends, then prints how many requests of each name got which status."""
    answers: Answers = defaultdict(Counter)
    requests = hostile_requests(kind)
    print("begins", flush=True)
    left = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    slow = [
        asyncio.create_task(slow_client(port, begun, answers[name]))
        for name, begun in SLOW.items()
        for _ in range(SLOW_CONNECTIONS)
    ]
    for name, request, more in itertools.cycle(requests):
        if left.done():
            break
        answers[name][await status_of(port, request, more)] += 1
    for one in slow:
        one.cancel()
    await asyncio.wait(slow)
    print(json.dumps(answers))


def hostile_requests(kind: str) -> list[tuple[str, bytes, More]]:
    """Returns the requests that are sent in turn: name, bytes, and what is done after them."""
    unfit = [(name, request_of("/predict", body), nothing) for name, bodies in UNFIT.items() for body in bodies]
    halves = [("half-closed", request, half_closed) for request in HALVES]
    legal = [(name, request_of(path, body), nothing) for name, path, body in cases(kind) if name not in UNFIT]
    return [*unfit, *halves, ("a header of 40 MB", LARGE_HEAD, nothing), *legal]


async def slow_client(port: int, begun: bytes, statuses: Counter[str]) -> None:
    """Sends a request a byte at a time, and again when it was answered, until it is cancelled."""
    try:
        while True:
            statuses[await status_of(port, begun, a_byte_at_a_time)] += 1
    finally:
        statuses[LEFT] += 1


async def status_of(port: int, request: bytes, more: More) -> str:
    """Sends a request on a connection of its own; returns the status of the reply, or that there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    sending = asyncio.create_task(more(writer))
    try:
        return str(await exchanged(reader, writer, request))
    except (asyncio.IncompleteReadError, ConnectionError):
        return CLOSED
    finally:
        sending.cancel()
        writer.transport.abort()


async def nothing(writer: asyncio.StreamWriter) -> None:
    """Leaves the connection as it is."""


async def half_closed(writer: asyncio.StreamWriter) -> None:
    """Says that nothing more is sent."""
    writer.write_eof()


async def a_byte_at_a_time(writer: asyncio.StreamWriter) -> None:
    """Continues a head or a body."""
    while not writer.is_closing():
        writer.write(b"1")
        await asyncio.sleep(SLOW_S)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["good", port, seconds]:
            good_clients(int(port), float(seconds))
        case ["hostile", port, kind]:
            uvloop.run(hostile_client(int(port), kind))
        case [seconds]:
            main(float(seconds))
        case _:
            main()
