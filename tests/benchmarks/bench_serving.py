"""Requests a second of the server, against a do-nothing endpoint, the raw model, FastAPI by hand, and another checkout.

    python tests/benchmarks/bench_serving.py runs/digits_mlp/latest/bundle [CHECKOUT]

Servers and load generator (wrk, or a client of its own where that is not installed) are processes of their own. The
targets take turns, several rounds in one run; what counts are the ratios of a round, not the numbers, which other work
on the machine moves. `CHECKOUT` is a folder with another version of maas. It takes about two minutes.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import uvicorn
import uvloop

from maas.runtime.bundle import Bundle

ROUNDS, SECONDS, CONNECTIONS = 5, 2, (1, 32)
NOTHING = "do nothing"
ROOT = Path(__file__).parents[2]
US = {"us": 1, "ms": 1000, "s": 1_000_000}


@dataclass(frozen=True)
class Target:
    """What is asked for, and where."""

    server: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


@dataclass(frozen=True)
class Measured:
    """One round of one target."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float


def main(folder: str, checkout: str | None = None) -> None:
    """Starts the servers, lets them take turns and prints a table."""
    bundle = Bundle.open(folder)
    targets = targets_of(bundle, has_other=checkout is not None)
    found: dict[tuple[str, int], list[Measured]] = {}
    raw: dict[int, list[float]] = {}
    with servers(folder, checkout) as started:
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for name, target in targets.items():
                    found.setdefault((name, connections), []).append(measured(started, target, connections))
            for rows in (1, bundle.predictor.batch_size):
                raw.setdefault(rows, []).append(raw_rate(bundle, rows))
    print(f"{bundle.manifest.name}, {ROUNDS} rounds of {SECONDS} s, medians; load average {os.getloadavg()[0]:.1f}")
    print(f"raw model: {', '.join(f'{statistics.median(v):,.0f} rows/s in runs of {k}' for k, v in raw.items())}")
    print(
        "| target | connections | requests/s | of do nothing | of FastAPI | p50, times do nothing | p99 ms | CPU µs |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (name, connections), rounds in found.items():
        base = found[nothing_for(name), connections]
        print(
            f"| {name} | {connections} | {statistics.median(one.rate for one in rounds):,.0f} "
            f"| {ratio(rounds, base, 'rate'):.0%} | {ratio(rounds, found['FastAPI', connections], 'rate'):.1f} "
            f"| {ratio(rounds, base, 'p50_us'):.2f} | {statistics.median(one.p99_us for one in rounds) / 1000:.1f} "
            f"| {statistics.median(one.cpu_us for one in rounds):.0f} |"
        )


def targets_of(bundle: Bundle, *, has_other: bool) -> dict[str, Target]:
    """Returns the targets by name; each body also goes to the do-nothing endpoint."""
    row = bundle.golden.inputs[:1]
    spec = bundle.predictor.signature.inputs[0]
    plain = json.dumps({"input_data": row}).encode()
    infer = f"/v2/models/{bundle.manifest.name}/infer"
    targets = {"maas /predict": Target("maas", "/predict", plain)}
    if has_other:
        targets["other /predict"] = Target("other", "/predict", plain)
    if spec.datatype in ("FP32", "FP64"):
        data = np.asarray(row, dtype=np.float32 if spec.datatype == "FP32" else np.float64)
        tensor = {"name": spec.name, "datatype": spec.datatype, "shape": list(data.shape)}
        sent = {**tensor, "parameters": {"binary_data_size": data.nbytes}}
        wanted = {"binary_data_output": True}  # tritonclient's default
        head = json.dumps({"inputs": [sent], "parameters": wanted}).encode()
        headers = (("inference-header-content-length", str(len(head))),)
        targets["maas v2 binary"] = Target("maas", infer, head + data.tobytes(), headers)
        targets[f"{NOTHING}, binary"] = Target("nothing", infer, head + data.tobytes(), headers)
    return targets | {"FastAPI": Target("FastAPI", "/predict", plain), NOTHING: Target("nothing", "/predict", plain)}


def nothing_for(name: str) -> str:
    """Returns the do-nothing target that gets the same body."""
    return f"{NOTHING}, binary" if "binary" in name else NOTHING


def ratio(ours: list[Measured], theirs: list[Measured], figure: str) -> float:
    """Returns the median over the rounds of one target's figure by another's."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(getattr(one, figure) / getattr(other, figure) for one, other in pairs)


def raw_rate(bundle: Bundle, rows: int) -> float:
    """Returns rows a second of the model alone, as many in a run."""
    predictor = bundle.predictor
    features = predictor.preprocess(bundle.golden.inputs[:1]) * rows
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS / 4:
        predictor.run(features)
        runs += 1
    return runs * rows / (time.perf_counter() - start)


@contextlib.contextmanager
def servers(folder: str, checkout: str | None) -> Iterator[dict[str, tuple[int, psutil.Process]]]:
    """Starts the servers; yields their ports and processes."""
    this = str(Path(__file__))
    maas = ["-m", "maas.serve", f"model={folder}", "port=0"]
    commands = {"maas": maas, "FastAPI": [this, "fastapi", folder], "nothing": [this, "nothing"]}
    if checkout is not None:
        commands["other"] = maas
    with contextlib.ExitStack() as stack:
        started = {}
        for name, command in commands.items():
            root = checkout if name == "other" else ROOT
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                text=True,
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            port = int(process.stdout.readline().partition("http://127.0.0.1:")[2].split()[0])
            wait_until_ready(port)
            started[name] = (port, psutil.Process(process.pid))
        yield started


def wait_until_ready(port: int) -> None:
    """Waits until a server accepts connections."""
    while True:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/")
            return
        time.sleep(0.05)


def measured(started: dict[str, tuple[int, psutil.Process]], target: Target, connections: int) -> Measured:
    """Loads a server from a process of its own."""
    port, process = started[target.server]
    before = process.cpu_times()
    load = loaded_by_wrk if shutil.which("wrk") else loaded_by_client
    requests, rate, p50_us, p99_us = load(f"http://127.0.0.1:{port}{target.path}", target, connections)
    after = process.cpu_times()
    cpu_s = after.user - before.user + after.system - before.system
    return Measured(rate, p50_us, p99_us, 1e6 * cpu_s / requests)


def loaded_by_wrk(url: str, target: Target, connections: int) -> tuple[int, float, float, float]:
    """Returns requests, their rate, and the 50th and 99th percentile of their time in microseconds."""
    with tempfile.TemporaryDirectory() as scratch:
        body, script = Path(scratch) / "body", Path(scratch) / "post.lua"
        body.write_bytes(target.body)
        lines = ['wrk.method = "POST"', f'wrk.body = io.open("{body}", "rb"):read("*a")']
        script.write_text(
            "\n".join([*lines, *(f'wrk.headers["{name}"] = "{value}"' for name, value in target.headers)])
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(f"{url} refuses what it is sent:\n{out}")
    p50, p99 = (
        float(found[1]) * US[found[2]] for found in (re.search(rf"{part}%\s+([\d.]+)(\w+)", out) for part in (50, 99))
    )
    return (
        int(re.search(r"(\d+) requests in", out)[1]),
        float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        p50,
        p99,
    )


def loaded_by_client(url: str, target: Target, connections: int) -> tuple[int, float, float, float]:
    """Does the same without wrk."""
    command = [sys.executable, str(Path(__file__)), "load", url, str(connections), json.dumps(target.headers)]
    done = subprocess.run(command, input=target.body, capture_output=True, check=True)
    return tuple(json.loads(done.stdout))


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self.request, self.times, self.received = request, times, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(self.received.decode())
            self.received = b""
            self.times.append(time.perf_counter() - self.start)
            self.ask()


async def load(url: httpx.URL, connections: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Asks over some connections for a while; prints how many requests, their rate and their times."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {url.path} HTTP/1.1\r\nhost: x\r\n{fields}content-length: {len(body)}\r\n\r\n"
    times: list[float] = []
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(head.encode() + body, times), "127.0.0.1", url.port)
    await asyncio.sleep(0.3)
    times.clear()
    start = time.perf_counter()
    await asyncio.sleep(SECONDS)
    seconds, percentiles = time.perf_counter() - start, statistics.quantiles(times, n=100)
    print(json.dumps([len(times), len(times) / seconds, 1e6 * percentiles[49], 1e6 * percentiles[98]]))


async def nothing(scope, receive, send) -> None:
    """Reads the body and answers a constant."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


def fastapi_by_hand(folder: str):
    """The application that one writes in ten minutes, around the same bundle."""
    from fastapi import FastAPI
    from pydantic import create_model

    bundle = Bundle.open(folder)
    predictor = bundle.predictor
    row = str if predictor.signature.inputs[0].datatype == "BYTES" else list[float]
    body = create_model("Body", input_data=(list[row], ...))
    app = FastAPI()

    @app.post("/predict")
    async def predict(asked: body) -> dict[str, list[list[float]]]:
        outputs = predictor.outputs(asked.input_data)
        return {"predictions": predictor.postprocessor.scores(outputs).tolist()}

    return app


def serve(app) -> None:
    """Serves an application with uvicorn on a free port."""
    config = uvicorn.Config(
        app,
        port=int(os.environ.get("PORT", "0")),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
    listener = config.bind_socket()
    print(f"http://127.0.0.1:{listener.getsockname()[1]} ", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    match sys.argv[1:]:
        case ["load", url, connections, headers]:
            uvloop.run(load(httpx.URL(url), int(connections), json.loads(headers), sys.stdin.buffer.read()))
        case ["fastapi", folder]:
            serve(fastapi_by_hand(folder))
        case ["nothing"]:
            serve(nothing)
        case [folder]:
            main(folder)
        case [folder, checkout]:
            main(folder, checkout)
        case _:
            sys.exit(__doc__)
