"""Throughput, latency and memory of the server beside others that serve the same graph, each as its documents show it.

    python tests/benchmarks/bench_peers.py runs/digits_mlp/latest/bundle ENVIRONMENTS [PEER …]

The bundle takes one row of numbers. Each peer is installed in a virtual environment of its own below `ENVIRONMENTS`, in
the version below, unless it is there already; its application is a file in `peers/`. Peers are started one after the
other; maas and the peer take turns, several rounds at each number of connections, and ratios are of one round. It needs
wrk, and about ten minutes once all seven are installed.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from bench_serving import ROOT, Measured, Target, loaded_by_wrk

from maas.runtime.bundle import Bundle

ROUNDS, CONNECTIONS = 3, (1, 8, 32, 64)
LONGEST_START_S = 180
HERE = Path(__file__).parent
APPS = HERE / "peers"
SETTINGS = {"MLSERVER_PARALLEL_WORKERS": "0", "BENTOML_DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
RUNTIME = ("onnxruntime", "numpy")


@dataclass(frozen=True)
class Peer:
    """Another server.

    Args:
        packages: what is installed for it; nothing where this environment has it.
        command: that starts it in its environment, with `PORT` for the port and `BUNDLE` for the bundle.
        path: that predicts.
        form: of the body: JSON with `ROWS` for the rows.
    """

    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str = "/predict"
    form: str = '{"input_data": ROWS}'


V2 = '{"inputs": [{"name": "input", "shape": [1, WIDTH], "datatype": "FP32", "data": ROWS}]}'
PEERS = {
    "FastAPI": Peer((), ("python", str(HERE / "bench_serving.py"), "fastapi", "BUNDLE")),
    "mosec": Peer(("mosec==0.9.8",), ("python", "mosec_app.py", "--port", "PORT"), "/inference"),
    "LitServe": Peer(("litserve==0.2.18",), ("python", "litserve_app.py")),
    "BentoML": Peer(("bentoml==1.4.40",), ("bentoml", "serve", "bentoml_app:Predict", "--port", "PORT")),
    "MLServer": Peer(("mlserver==1.7.1",), ("mlserver", "start", "."), "/v2/models/mlp/infer", V2),
    "mlflow models serve": Peer(
        (),
        ("mlflow", "models", "serve", "-m", "BUNDLE", "-p", "PORT", "--env-manager", "local"),
        "/invocations",
        '{"inputs": ROWS}',
    ),
    "Ray Serve": Peer(("ray[serve]==2.60.0",), ("python", "ray_app.py")),
}


def main(folder: str, environments: str, *names: str) -> None:
    """Measures peers one after the other and prints a table."""
    bundle = Bundle.open(folder)
    rows = bundle.golden.inputs[:1]
    width = bundle.predictor.signature.inputs[0].shape[-1]
    print(f"{bundle.manifest.name}, {ROUNDS} rounds at {', '.join(map(str, CONNECTIONS))} connections; medians")
    print("| server | version | requests/s, of maas | p99, times maas | memory MB (maas) | start s (maas) |")
    print("|---|---|---|---|---|---|")
    for name in names or PEERS:
        peer = PEERS[name]
        binaries = environment_of(peer, name, Path(environments))
        body = peer.form.replace("WIDTH", str(width)).replace("ROWS", json.dumps(rows)).encode()
        with (
            server([sys.executable, "-m", "maas.serve", f"model={folder}", "port=PORT"], folder, ROOT) as ours,
            server(command_of(peer, binaries, folder), folder, APPS) as theirs,
        ):
            plain = json.dumps({"input_data": rows}).encode()
            ours.ask(Target("maas", "/predict", plain))
            theirs.ask(Target(name, peer.path, body))
            found = {
                count: [(ours.measured(count), theirs.measured(count)) for _ in range(ROUNDS)] for count in CONNECTIONS
            }
            print(line_of(name, version_of(peer, binaries), found, ours, theirs), flush=True)


class Server:
    """A server that runs.

    Args:
        process: that was started.
        port: that it listens on.
        start_s: when it was started, by the monotonic clock.
    """

    def __init__(self, process: psutil.Process, port: int, start_s: float) -> None:
        self.process, self.port, self.started_s = process, port, start_s

    def ask(self, target: Target) -> None:
        """Waits for the first prediction."""
        self.target, self.url = target, f"http://127.0.0.1:{self.port}{target.path}"
        headers = dict(target.headers)
        while True:
            with contextlib.suppress(httpx.TransportError):
                reply = httpx.post(self.url, content=target.body, headers=headers, timeout=60)
                if reply.status_code == 200:
                    break
            if not self.process.is_running() or time.monotonic() - self.started_s > LONGEST_START_S:
                raise SystemExit(f"{target.server} does not predict.")
            time.sleep(0.1)
        self.ready_s = time.monotonic() - self.started_s

    def measured(self, connections: int) -> Measured:
        """Loads it for a moment."""
        _, rate, p50_us, p99_us = loaded_by_wrk(self.url, self.target, connections)
        return Measured(rate, p50_us, p99_us, 0.0)

    @property
    def memory_mb(self) -> float:
        """Memory of all of its processes; what they share counts once."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_full_info().pss for one in processes) / 2**20


@contextlib.contextmanager
def server(command: list[str], folder: str, root: Path) -> Iterator[Server]:
    """Starts a server on a free port, and ends it with all of its processes."""
    port = free_port()
    filled = [part.replace("PORT", str(port)) for part in command]
    environment = {**os.environ, **SETTINGS, "BUNDLE": str(Path(folder).resolve()), "PYTHONPATH": str(root)}
    environment |= {"PORT": str(port), "MLSERVER_HTTP_PORT": str(port)}
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


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def environment_of(peer: Peer, name: str, environments: Path) -> Path:
    """Returns the programs of a peer's environment, which is made where it is missing."""
    if not peer.packages:
        return Path(sys.executable).parent
    folder = environments / name.replace(" ", "_").lower()
    if not folder.exists():
        venv.create(folder, with_pip=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", *peer.packages, *RUNTIME]
        subprocess.run(pip, check=True)
    return folder / "bin"


def command_of(peer: Peer, binaries: Path, folder: str) -> list[str]:
    """Returns the command that starts a peer."""
    program, *arguments = peer.command
    return [str(binaries / program), *(part.replace("BUNDLE", str(Path(folder).resolve())) for part in arguments)]


def version_of(peer: Peer, binaries: Path) -> str:
    """Returns the version that is installed."""
    package = peer.packages[0].partition("==")[0].partition("[")[0] if peer.packages else peer.command[0]
    package = "fastapi" if package == "python" else package
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.run([binaries / "python", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def line_of(
    name: str, version: str, found: dict[int, list[tuple[Measured, Measured]]], ours: Server, theirs: Server
) -> str:
    """Returns a line of the table."""
    rates = [statistics.median(their.rate / our.rate for our, their in rounds) for rounds in found.values()]
    tails = [statistics.median(their.p99_us / our.p99_us for our, their in rounds) for rounds in found.values()]
    return (
        f"| {name} | {version} | {', '.join(f'{rate:.0%}' for rate in rates)} | "
        f"{', '.join(f'{tail:.1f}' for tail in tails)} | {theirs.memory_mb:.0f} ({ours.memory_mb:.0f}) "
        f"| {theirs.ready_s:.1f} ({ours.ready_s:.1f}) |"
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
