"""Throughput, latency and memory of the server beside others that serve the same graph, each as its documents show it.

    python -m tests.benchmarks.bench_peers BUNDLE ENVIRONMENTS [PEER …] [--rounds 3] [--seconds 2] [--wait-ms 1]

The bundle takes one row of numbers, or a text of a pretrained tokenizer. Each peer is installed in a virtual
environment of its own below `ENVIRONMENTS`, in the version below, unless it is there already, with the versions of ONNX
Runtime, NumPy and tokenizers that are here; its application is a file in `peers/`. All run the graph with one intra-op
thread. Those that batch make batches of up to 32; where one waits for a batch to fill it waits for `--wait-ms`, or as
its dispatcher finds best. A longer wait fills batches and slows down a lone request: it is for the reader to choose.
FastAPI and MLflow run long requests in threads, and so on several cores; processor time shows it.

Peers are started one after the other, and must give the golden scores; maas and the peer take turns, several rounds at
each number of connections, and ratios are of one round. It needs wrk. Once all are installed, a light model takes
about ten minutes, and one of more than a millisecond a row, which is measured for longer, about forty.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from maas.runtime.bundle import Bundle
from tests.benchmarks.bench_serving import ROOT, Measured, free_port
from tests.benchmarks.loading import RefusedError, Target, loaded
from tests.benchmarks.raw_loop import Sent

ROUNDS, CONNECTIONS = 3, (1, 8, 32, 64)
LONGEST_START_S = 180
TOLERANCE, IDLE_S = 1e-3, 5
APPS = Path(__file__).parent / "peers"
SETTINGS = {
    "BENTOML_DO_NOT_TRACK": "1",
    "BENTOML_HOST": "127.0.0.1",
    "MLSERVER_HOST": "127.0.0.1",
    "MOSEC_ADDRESS": "127.0.0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}
RUNTIME = tuple(f"{name}=={importlib.metadata.version(name)}" for name in ("onnxruntime", "numpy", "tokenizers"))
HEADS = (
    "server",
    "requests/s",
    "of maas",
    "p99 ms",
    "times maas",
    "CPU µs a request",
    "times maas",
    "memory MB (maas)",
    "start s (maas)",
    "idle, cores (maas)",
)
Rounds = dict[int, list[tuple[Measured, Measured]]]
"""Our rounds and theirs, by number of connections."""


@dataclass(frozen=True)
class Peer:
    """Another server.

    Args:
        package: whose version is shown.
        command: that starts it in its environment, with `PORT` for the port.
        path: of the endpoint that predicts.
        form: of the body: JSON with `ROWS` for the rows.
        requirements: what is installed for it; nothing where this environment has it.
        settings: environment variables.
    """

    package: str
    command: tuple[str, ...]
    path: str = "/predict"
    form: str = '{"input_data": ROWS}'
    requirements: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


V2 = '{"inputs": [{"name": "input", "shape": SHAPE, "datatype": "DATATYPE", "data": ROWS}]}'
MLSERVER = ("mlserver==1.7.1", "uvloop==0.21.0")  # with 0.22 and 0.23, each process of its pool ends as it starts
PEERS = {
    "FastAPI": Peer("fastapi", ("python", "fastapi_app.py")),
    "mosec": Peer("mosec", ("python", "mosec_app.py", "--port", "PORT"), "/inference", requirements=("mosec==0.9.8",)),
    "LitServe": Peer("litserve", ("python", "litserve_app.py"), requirements=("litserve==0.2.18",)),
    "BentoML": Peer(
        "bentoml", ("bentoml", "serve", "bentoml_app:Predict", "--port", "PORT"), requirements=("bentoml==1.4.40",)
    ),
    "MLServer": Peer("mlserver", ("mlserver", "start", "."), "/v2/models/model/infer", V2, MLSERVER),
    "MLServer, without its pool": Peer(
        "mlserver",
        ("mlserver", "start", "."),
        "/v2/models/model/infer",
        V2,
        MLSERVER,
        (("MLSERVER_PARALLEL_WORKERS", "0"),),
    ),
    "mlflow models serve": Peer(
        "mlflow",
        ("mlflow", "models", "serve", "-m", ".", "-p", "PORT", "--env-manager", "local"),
        "/invocations",
        '{"inputs": ROWS}',
    ),
    "Ray Serve": Peer("ray", ("python", "ray_app.py"), requirements=("ray[serve]==2.60.0",)),
}


def main(folder: str, environments: str, names: list[str], rounds: int, seconds: float | None, wait_ms: int) -> None:
    """Measures peers one after the other and prints a table."""
    bundle = Bundle.open(folder)
    sent = Sent.to(bundle, seconds)
    os.environ |= {"BATCH_WAIT_MS": str(wait_ms), "MLSERVER_MODEL_MAX_BATCH_TIME": str(wait_ms / 1000)}
    print(f"{bundle.manifest.name}, medians of {rounds} rounds of {sent.seconds:g} s; waits of {wait_ms} ms;")
    print(f"figures at {', '.join(map(str, CONNECTIONS))} connections")
    print(f"| {' | '.join(HEADS)} |")
    print("|---" * len(HEADS) + "|")
    for name in names or PEERS:
        try:
            print(line_of(bundle, sent, name, Path(environments), rounds), flush=True)
        except RefusedError as error:
            print(f"| {name} | {error} |", flush=True)


def line_of(bundle: Bundle, sent: Sent, name: str, environments: Path, rounds: int) -> str:
    """Measures a peer and returns its line of the table.

    Raises:
        RefusedError: it does not start, predicts something else, or refuses requests.
    """
    peer = PEERS[name]
    binaries, folder = environment_of(peer, name, environments), bundle.folder.resolve()
    maas = [sys.executable, "-m", "maas.serve", f"model={folder}", "port=PORT"]
    with (
        server(maas, folder, ROOT) as ours,
        tempfile.TemporaryDirectory() as scratch,  # some peers write beside their application
        server(command_of(peer, binaries), folder, shutil.copytree(APPS, Path(scratch) / "apps"), peer) as theirs,
    ):
        ours.request(Target("maas", "/predict", bodies_of(PEERS["FastAPI"].form, sent)))
        theirs.request(Target(name, peer.path, bodies_of(peer.form, sent)))
        theirs.require_scores(bundle.golden.scores[bundle.golden.inputs.index(sent.rows[0])])
        found = {
            count: [(ours.measured(count, sent.seconds), theirs.measured(count, sent.seconds)) for _ in range(rounds)]
            for count in CONNECTIONS
        }
        return " | ".join(["", f"{name} {version_of(peer, binaries)}", *cells_of(found, ours, theirs), ""]).strip()


def bodies_of(form: str, sent: Sent) -> tuple[bytes, ...]:
    """Returns a body for each row."""
    is_text = isinstance(sent.rows[0], str)
    shape = [1] if is_text else [1, len(sent.rows[0])]
    filled = form.replace("DATATYPE", "BYTES" if is_text else "FP32").replace("SHAPE", json.dumps(shape))
    return tuple(filled.replace("ROWS", json.dumps([row])).encode() for row in sent.rows)


class Server:
    """A server that runs.

    Args:
        process: that was started.
        port: that it listens on.
        start_s: when it was started, by the monotonic clock.
    """

    def __init__(self, process: psutil.Process, port: int, start_s: float) -> None:
        self.process, self.port, self.started_s = process, port, start_s

    def request(self, target: Target) -> None:
        """Waits for the first prediction."""
        self.target, self.url = target, f"http://127.0.0.1:{self.port}{target.path}"
        headers = dict(target.headers)
        while True:
            with contextlib.suppress(httpx.TransportError):
                reply = httpx.post(self.url, content=target.bodies[0], headers=headers, timeout=60)
                if reply.status_code == 200:
                    break
            if not self.process.is_running() or time.monotonic() - self.started_s > LONGEST_START_S:
                raise RefusedError(f"{target.server} does not predict.")
            time.sleep(0.1)
        self.ready_s = time.monotonic() - self.started_s
        self.scores = numbers_of(reply.json())

    def require_scores(self, golden: list[float]) -> None:
        """Requires that the first prediction was the bundle's own."""
        if not np.allclose(self.scores, golden, atol=TOLERANCE):
            raise RefusedError(f"{self.target.server} predicts {self.scores[:4]} …; the bundle {golden[:4]} …")

    def measured(self, connections: int, seconds: float) -> Measured:
        """Loads it for a while."""
        before_s = self.cpu_s
        one = loaded(self.url, self.target, connections, seconds)
        return Measured(one.rate, one.p50_us, one.p99_us, 1e6 * (self.cpu_s - before_s) / one.requests)

    @property
    def memory_mb(self) -> float:
        """Memory of all of its processes; what they share counts once."""
        return sum(one.memory_full_info().pss for one in self.processes) / 2**20

    @property
    def idle_cores(self) -> float:
        """Processor time of all of its processes by the time that passes, while nothing is requested."""
        before_s, start_s = self.cpu_s, time.monotonic()
        time.sleep(IDLE_S)
        return (self.cpu_s - before_s) / (time.monotonic() - start_s)

    @property
    def cpu_s(self) -> float:
        """Processor time of all of its processes so far."""
        times = [one.cpu_times() for one in self.processes]
        return sum(one.user + one.system for one in times)

    @property
    def processes(self) -> list[psutil.Process]:
        """The process that was started and all below it."""
        return [self.process, *self.process.children(recursive=True)]


def numbers_of(reply: Any) -> list[float]:
    """Returns the longest list of numbers in a reply."""
    if isinstance(reply, dict):
        reply = list(reply.values())
    if not isinstance(reply, list):
        return []
    if reply and all(isinstance(one, int | float) for one in reply):
        return reply
    return max(map(numbers_of, reply), key=len, default=[])


@contextlib.contextmanager
def server(command: list[str], folder: Path, root: Path, peer: Peer | None = None) -> Iterator[Server]:
    """Starts a server on a free port, and ends it with all of its processes."""
    port = free_port()
    filled = [part.replace("PORT", str(port)) for part in command]
    settings = {**SETTINGS, **dict(peer.settings if peer else ())}
    environment = {**os.environ, **settings, "BUNDLE": str(folder), "PYTHONPATH": str(root)}
    environment |= {"PORT": str(port), "MLSERVER_HTTP_PORT": str(port)}
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"  # as if it were activated
    environment |= {name: str(free_port()) for name in ("MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT")}
    start_s = time.monotonic()
    with subprocess.Popen(
        filled, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        tree = psutil.Process(process.pid)
        try:
            yield Server(tree, port, start_s)
        finally:
            ended = [*tree.children(recursive=True), tree]
            for one in ended:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()
            for one in psutil.wait_procs(ended, timeout=10)[1]:
                one.kill()


def environment_of(peer: Peer, name: str, environments: Path) -> Path:
    """Returns the programs of a peer's environment, which is made where it is missing."""
    if not peer.requirements:
        return Path(sys.executable).parent
    folder = (environments / name.partition(",")[0].replace(" ", "_").lower()).resolve()
    if not folder.exists():
        venv.create(folder, with_pip=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", *peer.requirements, *RUNTIME]
        subprocess.run(pip, check=True)
    return folder / "bin"


def command_of(peer: Peer, binaries: Path) -> list[str]:
    """Returns the command that starts a peer."""
    program, *arguments = peer.command
    return [str(binaries / program), *arguments]


def version_of(peer: Peer, binaries: Path) -> str:
    """Returns the version that is installed."""
    code = f"import importlib.metadata; print(importlib.metadata.version({peer.package!r}))"
    return subprocess.run([binaries / "python", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def cells_of(found: Rounds, ours: Server, theirs: Server) -> Iterator[str]:
    """Yields a peer's figures: those of a load at each number of connections, those of its processes beside maas'."""
    yield from compared(found, "rate", 1, ".0%")
    yield from compared(found, "p99_us", 1000, ".2f")
    yield from compared(found, "cpu_us", 1, ".2f")
    yield f"{theirs.memory_mb:.0f} ({ours.memory_mb:.0f})"
    yield f"{theirs.ready_s:.1f} ({ours.ready_s:.1f})"
    yield f"{theirs.idle_cores:.2f} ({ours.idle_cores:.2f})"


def compared(found: Rounds, figure: str, unit: float, form: str) -> Iterator[str]:
    """Yields the medians of a figure, and those of the rounds' ratios to maas' own."""
    rounds = [[(getattr(our, figure), getattr(their, figure)) for our, their in one] for one in found.values()]
    medians = [statistics.median(their for _, their in one) / unit for one in rounds]
    yield ", ".join(f"{median:,.0f}" if median >= 100 else f"{median:,.1f}" for median in medians)
    yield ", ".join(f"{statistics.median(their / our for our, their in one):{form}}" for one in rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="BUNDLE")
    parser.add_argument("environments", metavar="ENVIRONMENTS")
    parser.add_argument("names", metavar="PEER", nargs="*")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--wait-ms", type=int, default=1)
    main(**vars(parser.parse_args()))
