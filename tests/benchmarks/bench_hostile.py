"""What hostile requests of legal size cost: a good client's p99 beside each, and the memory that the server takes.

    python -m tests.benchmarks hostile

The good client sends a small request every few milliseconds, whether or not the one before was answered; its latency
counts from the moment that it was due. Another client sends one hostile body again and again. Everything is a
process of its own. Ratios count, not milliseconds: the undisturbed p99 is taken right before each disturbed one, in
several rounds, and the round with the median ratio is shown. Between the two the hostile client works at another server
of the same model, which shows what sharing the processors costs, whatever the server does.
"""

import asyncio
import base64
import contextlib
import importlib.util
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import uvloop
from PIL import Image

SECONDS, EVERY_S, HOSTILE_CONNECTIONS = 3.0, 0.01, 1
ROUNDS = 5
LEGAL_BYTES = 8 * 2**20
ROOT = Path(__file__).parents[2]
OUTPUT = '{"name": "score"}'
Case = tuple[str, str, bytes]


def main() -> None:
    """Lets each hostile body of each kind of model run beside a good client, and prints a table."""
    heads = ("model", "hostile body", "bytes", "answered", "p99 ms alone", "it elsewhere", "beside it", "times alone")
    print(f"| {' | '.join(heads)} | times elsewhere | server grew MB, of the body | worker MB |")
    print("|---" * 11 + "|")
    bundles = small_bundles()
    for kind in ("array", "text", "image", "audio"):
        with tempfile.TemporaryDirectory() as scratch:
            folder = make_bundle(bundles, kind, Path(scratch) / "bundle")
            for name, path, body in cases(kind):
                with server(folder) as (port, process), server(folder) as (other, _):
                    print(row(kind, (name, path, body), good_request(kind), (port, other), process), flush=True)


def row(kind: str, case: Case, good: Case, ports: tuple[int, int], process: psutil.Process) -> str:
    """Measures one hostile body, at the server and at another one."""
    name, _, body = case
    for port in ports:
        asyncio.run(asked(port, "/predict", b" " * 20_000))  # so that what is started once has started
    peak, before = Peak(process), process.memory_info().rss
    rounds = [one_round(case, good, ports, peak) for _ in range(ROUNDS)]
    grown = max(0, peak.rss - before)
    alone, elsewhere, beside, answered = sorted(rounds, key=lambda one: one[2] / one[0])[ROUNDS // 2]
    return (
        f"| {kind} | {name} | {len(body):,} | {answered} | {alone:.1f} | {elsewhere:.1f} | {beside:.1f} "
        f"| {beside / alone:.1f} | {beside / elsewhere:.1f} "
        f"| {grown / 2**20:.0f}, {grown / len(body):.1f} × | {peak.children_rss / 2**20:.0f} |"
    )


def one_round(case: Case, good: Case, ports: tuple[int, int], peak: "Peak") -> tuple[float, float, float, str]:
    """Returns the good client's p99 in ms, alone, with the hostile one elsewhere and beside it, and its replies."""
    alone = latencies(ports[0], good, peak)
    elsewhere, _ = disturbed(case, good, ports, ports[1], peak)
    beside, answered = disturbed(case, good, ports, ports[0], peak)
    return 1000 * p99(alone), 1000 * p99(elsewhere), 1000 * p99(beside), answered


def disturbed(case: Case, good: Case, ports: tuple[int, int], port: int, peak: "Peak") -> tuple[list[float], str]:
    """Returns the good client's latencies while a hostile one works at a port, and what the latter was answered."""
    _, path, body = case
    command = [sys.executable, str(Path(__file__)), "hostile", str(port), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hostile:
        hostile.stdin.write(body)
        hostile.stdin.close()
        found = latencies(ports[0], good, peak)
        return found, hostile.stdout.read().decode().strip()


class Peak:
    """The most memory that a process and its children had whenever it was looked at.

    The children are those of when it is made: to list them takes time that the server would lack.
    """

    def __init__(self, process: psutil.Process) -> None:
        self.process, self.children = process, process.children()
        self.rss = self.children_rss = 0

    def look(self) -> None:
        self.rss = max(self.rss, self.process.memory_info().rss)
        with contextlib.suppress(psutil.NoSuchProcess):
            self.children_rss = max(self.children_rss, sum(one.memory_info().rss for one in self.children))


def small_bundles() -> ModuleType:
    """Returns the builders of small bundles that the tests use."""
    spec = importlib.util.spec_from_file_location("bundles", ROOT / "tests/unit/serving/bundles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_bundle(bundles: ModuleType, kind: str, folder: Path) -> Path:
    if kind == "image":
        return bundles.image_bundle(folder, height=32, width=32, channels=3)
    if kind == "text":
        return bundles.text_bundle(folder, max_tokens=256)
    return getattr(bundles, f"{kind}_bundle")(folder)


def good_request(kind: str) -> Case:
    """Returns a small request; a picture of 32 × 32 as a file."""
    if kind == "image":
        return "good", "/v1/image-classification", png(np.zeros((32, 32, 3), np.uint8))
    value = {"array": [0] * 64, "text": "a good film", "audio": [0.1] * 1000}[kind]
    return "good", "/predict", json.dumps({"input_data": [value]}).encode()


def cases(kind: str) -> list[Case]:
    """Returns hostile bodies of legal size: name, path, body."""
    return {"array": array_cases, "text": text_cases, "image": image_cases, "audio": audio_cases}[kind]()


def array_cases() -> list[Case]:
    numbers = b'{"input_data": [[' + b",".join([b"0"] * ((LEGAL_BYTES - 64) // 2)) + b"]]}"
    lists = b'{"input_data": [' + b",".join([b"[]"] * ((LEGAL_BYTES - 64) // 3)) + b"]}"
    rows = json.dumps({"input_data": [[7.123456789] * 64] * 1024}).encode()
    texts = json.dumps(["a"] * 50_000 + ["b" * 8000])
    tensor = '{"inputs": [{"name": "input", "shape": [%d, 64], "datatype": "FP32", "data": %s}]%s}'
    infer = "/v2/models/digits/infer"
    flat = tensor % (1024, json.dumps([0.5] * 65536), "")
    repeated = tensor % (1024, json.dumps([0] * 65536), f', "outputs": [{", ".join([OUTPUT] * 4000)}]')
    return [
        ("numbers, one row", "/predict", numbers),
        ("empty lists", "/predict", lists),
        ("1,024 rows", "/predict", rows),
        ("v2: texts of unequal length", infer, (tensor % (1024, texts, "")).encode()),
        ("v2: 1,024 rows", infer, flat.encode()),
        ("v2: an output 4,000 times", infer, repeated.encode()),
    ]


def text_cases() -> list[Case]:
    long = "好的电影 " * (LEGAL_BYTES // 32 // 14)
    return [
        ("32 long texts", "/predict", json.dumps({"input_data": [long] * 32}, ensure_ascii=False).encode()),
        ("1,024 texts", "/predict", json.dumps({"input_data": ["a good film " * 100] * 1024}).encode()),
        ("one text", "/predict", json.dumps({"input_data": ["a" * (LEGAL_BYTES - 64)]}).encode()),
        ("escapes", "/predict", b'{"input_data": ["' + b"\\u597d" * ((LEGAL_BYTES - 64) // 6) + b'"]}'),
    ]


def image_cases() -> list[Case]:
    side = 6000
    plain = png(np.zeros((side, side, 3), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    pixels = json.dumps({"image": np.zeros((900, 900, 3), int).tolist()}).replace(" ", "").encode()
    many = json.dumps({"image": [base64.b64encode(png(noise[:400, :400])).decode()] * 12}).encode()
    route = "/v1/image-classification"
    return [
        ("PNG of 36 megapixels", route, plain),
        ("PNG of noise", route, png(noise)),
        ("pixels as lists", route, pixels),
        ("12 pictures in base64", route, many),
    ]


def audio_cases() -> list[Case]:
    samples = json.dumps({"audio": {"samples": [0.1] * 1_000_000, "rate": 48_000}}).replace(" ", "").encode()
    return [("a million samples", "/v1/audio-classification", samples)]


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


@contextlib.contextmanager
def server(folder: Path, *settings: str) -> Iterator[tuple[int, psutil.Process]]:
    """Starts a server; yields its port and its process."""
    command = [sys.executable, "-m", "maas.serve", f"model={folder}", "port=0", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


async def asked(port: int, path: str, body: bytes) -> int:
    """Sends one request; returns the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    status = await exchanged(reader, writer, request_of(path, body))
    writer.close()
    return status


def request_of(path: str, body: bytes) -> bytes:
    kind = "image/png" if body.startswith(b"\x89PNG") else "application/json"
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )


async def exchanged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
    return int(head.split()[1])


def latencies(port: int, good: Case, peak: Peak) -> list[float]:
    """Runs the good client in a process of its own; looks at the memory meanwhile."""
    command = [sys.executable, str(Path(__file__)), "good", str(port), good[1]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        client.stdin.write(good[2])
        client.stdin.close()
        while client.poll() is None:
            peak.look()
            time.sleep(0.01)
        return json.loads(client.stdout.read())


async def good_client(port: int, path: str, body: bytes) -> None:
    """Sends a request whenever one is due, on a connection of its own for each of eight in turn."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    locks = [asyncio.Lock() for _ in connections]
    request, found = request_of(path, body), []

    async def send(number: int, due: float) -> None:
        async with locks[number % 8]:
            status = await exchanged(*connections[number % 8], request)
        if status != 200:
            raise SystemExit(f"a good request got {status}")
        found.append(time.perf_counter() - due)

    await asyncio.sleep(0.3)
    start, tasks = time.perf_counter(), []
    for number in range(int(SECONDS / EVERY_S)):
        due = start + number * EVERY_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(send(number, due)))
    await asyncio.gather(*tasks)
    print(json.dumps(found))


async def hostile_clients(port: int, path: str, body: bytes) -> None:
    """Sends one body again and again for as long as the good client works; prints the statuses."""
    statuses: dict[int, int] = {}
    end = time.perf_counter() + SECONDS + 0.3
    request = request_of(path, body)

    async def send_on() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
        while time.perf_counter() < end:
            status = await exchanged(reader, writer, request)
            statuses[status] = statuses.get(status, 0) + 1
            if status == 413:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)

    await asyncio.gather(*(send_on() for _ in range(HOSTILE_CONNECTIONS)))
    print(", ".join(f"{count} × {status}" for status, count in sorted(statuses.items())))


def p99(found: list[float]) -> float:
    return statistics.quantiles(found, n=100)[98]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["good", port, path]:
            uvloop.run(good_client(int(port), path, sys.stdin.buffer.read()))
        case ["hostile", port, path]:
            uvloop.run(hostile_clients(int(port), path, sys.stdin.buffer.read()))
        case _:
            main()
