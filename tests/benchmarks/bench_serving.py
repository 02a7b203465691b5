"""Requests a second of the server, against a do-nothing endpoint and a FastAPI application written by hand.

    python tests/benchmarks/bench_serving.py runs/digits_mlp/latest/bundle

Servers and load generator are processes of their own. The targets take turns, several rounds in one run; what counts
are the ratios of a round, not the numbers, which other work on the machine moves. It takes about a minute.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvicorn
import uvloop

from maas.runtime.bundle import Bundle

ROUNDS, SECONDS, CONNECTIONS = 4, 1.5, (1, 32)
PATHS = {"maas /predict": "/predict", "maas /v2 infer": "", "FastAPI": "/predict", "do nothing": "/predict"}


def main(folder: str) -> None:
    """Starts the servers, lets them take turns and prints a table."""
    bundle = Bundle.open(folder)
    row = bundle.golden.inputs[:1]
    spec = bundle.predictor.signature.inputs[0]
    data = row if spec.datatype == "BYTES" else [value for line in row for value in line]
    tensor = {"name": spec.name, "datatype": spec.datatype, "shape": [1, *spec.shape[1:]], "data": data}
    bodies = {name: {"input_data": row} for name in PATHS} | {"maas /v2 infer": {"inputs": [tensor]}}
    paths = PATHS | {"maas /v2 infer": f"/v2/models/{bundle.manifest.name}/infer"}
    rates: dict[tuple[str, int], list[float]] = {}
    slow: dict[tuple[str, int], list[float]] = {}
    with servers(folder) as ports:
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for name, path in paths.items():
                    result = measured(ports[name.split()[0]], path, json.dumps(bodies[name]), connections)
                    rates.setdefault((name, connections), []).append(result["rate"])
                    slow.setdefault((name, connections), []).append(result["p99_ms"])
    print(f"{bundle.manifest.name}, {ROUNDS} rounds of {SECONDS} s, medians")
    print("| target | connections | requests/s | share of do nothing | times FastAPI | p99 ms |")
    print("|---|---|---|---|---|---|")
    for (name, connections), found in rates.items():
        print(
            f"| {name} | {connections} | {statistics.median(found):,.0f} "
            f"| {ratio(rates, name, 'do nothing', connections):.0%} | {ratio(rates, name, 'FastAPI', connections):.1f} "
            f"| {statistics.median(slow[name, connections]):.1f} |"
        )


def ratio(rates: dict[tuple[str, int], list[float]], name: str, baseline: str, connections: int) -> float:
    """Returns the median over the rounds of one target's rate by another's."""
    pairs = zip(rates[name, connections], rates[baseline, connections], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


@contextlib.contextmanager
def servers(folder: str) -> Iterator[dict[str, int]]:
    """Starts the three servers; yields their ports."""
    this = str(Path(__file__))
    commands = {
        "maas": ["-m", "maas.serve", f"model={folder}", "port=0"],
        "FastAPI": [this, "fastapi", folder],
        "do": [this, "nothing"],
    }
    with contextlib.ExitStack() as stack:
        ports = {}
        for name, command in commands.items():
            process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            ports[name] = int(process.stdout.readline().partition("http://127.0.0.1:")[2].split()[0])
            wait_until_ready(ports[name])
        yield ports


def wait_until_ready(port: int) -> None:
    """Waits until a server accepts connections."""
    while True:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/")
            return
        time.sleep(0.05)


def measured(port: int, path: str, body: str, connections: int) -> dict[str, float]:
    """Loads a server from a process of its own."""
    command = [sys.executable, str(Path(__file__)), "load", str(port), path, str(connections)]
    done = subprocess.run(command, input=body, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


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


async def load(port: int, path: str, connections: int, body: bytes) -> None:
    """Asks over some connections for a while; prints the rate and the 99th percentile."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    times: list[float] = []
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(head.encode() + body, times), "127.0.0.1", port)
    await asyncio.sleep(0.3)
    times.clear()
    start = time.perf_counter()
    await asyncio.sleep(SECONDS)
    p99_s = statistics.quantiles(times, n=100)[98]
    print(json.dumps({"rate": len(times) / (time.perf_counter() - start), "p99_ms": 1000 * p99_s}))


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
    """Serves an application with uvicorn on a free port, set up as maas does it."""
    config = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", log_level="warning", access_log=False)
    listener = config.bind_socket()
    print(f"http://127.0.0.1:{listener.getsockname()[1]} ", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    match sys.argv[1:]:
        case ["load", port, path, connections]:
            uvloop.run(load(int(port), path, int(connections), sys.stdin.buffer.read()))
        case ["fastapi", folder]:
            serve(fastapi_by_hand(folder))
        case ["nothing"]:
            serve(nothing)
        case [folder]:
            main(folder)
        case _:
            sys.exit(__doc__)
