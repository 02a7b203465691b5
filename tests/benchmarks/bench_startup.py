"""What two checkouts take to start, in turns: `python tests/benchmarks/bench_startup.py BEFORE AFTER [--rounds=7]`.

Seconds of `import maas` in a fresh process, seconds from the command `python -m maas.serve` to the first 200 of
`/v2/health/ready`, processor time until then, and the server's memory (RSS) then and after 300 requests. Each checkout
runs by its own `.venv` and serves the bundle that it makes itself of two recipes. Medians, and the median of the ratios
of neighbouring turns.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RECIPES = {
    "digits_mlp": {"input_data": [[0] * 64]},
    "sentiment_zh": {"input_data": ["这本书很好看"]},
}
REQUESTS = 300
IMPORTING = "import time; start = time.perf_counter(); import maas; print(time.perf_counter() - start)"


def python_of(checkout: Path) -> str:
    """The interpreter of a checkout."""
    return str(checkout / ".venv/bin/python")


def made(checkout: Path, recipe: str, scratch: Path) -> Path:
    """Trains and exports a recipe for an epoch; returns the bundle."""
    runs = scratch / checkout.name
    command = [python_of(checkout), "-m", "maas.run", f"recipe={recipe}", f"runs_dir={runs}", "registry=null"]
    command += [
        "baseline=null",
        "compress=none",
        "trainer.max_epochs=1",
        "export.robustness_rows=6",
        "+data.max_rows=2000",
    ]
    done = subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    (bundle,) = runs.glob(f"{recipe}/2*/bundle")
    return bundle


def import_s(checkout: Path) -> float:
    """Seconds of `import maas`."""
    command = [python_of(checkout), "-c", IMPORTING]
    return float(subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout)


def start(checkout: Path, bundle: Path, rows: object) -> dict[str, float]:
    """Starts a server and asks it; returns seconds until it was ready, and mebibytes."""
    port, begun = free_port(), time.perf_counter()
    command = [python_of(checkout), "-m", "maas.serve", f"model={bundle}", f"port={port}"]
    with process(command, checkout) as server:
        until_ready(f"http://127.0.0.1:{port}/v2/health/ready", server)
        found = {"ready, s": time.perf_counter() - begun, "processor time until ready, s": processor_s(server.pid)}
        found["RSS when ready, MiB"] = rss_mib(server.pid)
        body = json.dumps(rows).encode()
        for _ in range(REQUESTS):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body)
            request.add_header("content-type", "application/json")
            urllib.request.urlopen(request, timeout=10).read()
        found[f"RSS after {REQUESTS} requests, MiB"] = rss_mib(server.pid)
    return found


@contextmanager
def process(command: list[str], checkout: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a process and ends it."""
    server = subprocess.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Returns when a URL answers with 200."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.005)
    raise SystemExit(f"{server.args} ended with {server.returncode}")


def processor_s(pid: int) -> float:
    """Seconds that the threads of a process have run; other work on the machine moves them less than a clock's."""
    runs = [path.read_text("ascii").split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(map(int, runs)) / 1e9


def rss_mib(pid: int) -> float:
    """Memory that a process holds, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Measures in turns and prints a table."""
    before, after = (Path(one).resolve() for one in sys.argv[1:3])
    rounds = next((int(one.partition("=")[2]) for one in sys.argv if one.startswith("--rounds=")), 7)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as those of an installation are
    found: dict[str, dict[Path, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as scratch:
        bundles = {one: {name: made(one, name, Path(scratch)) for name in RECIPES} for one in (before, after)}

        def turn(checkout: Path, keep: Callable[[str, float], None]) -> None:
            keep("import maas, s", import_s(checkout))
            for name, rows in RECIPES.items():
                for what, value in start(checkout, bundles[checkout][name], rows).items():
                    keep(f"{name}: {what}", value)

        for number in range(rounds + 1):  # the first fills caches and compiles
            for one in (before, after) if number % 2 else (after, before):
                turn(one, lambda what, value, one=one, number=number: number and found[what][one].append(value))
    print(f"{'':44} {'before':>9} {'after':>9} {'ratio':>7}   ({rounds} turns)")
    for what, values in found.items():
        old, new = values[before], values[after]
        ratio = statistics.median(b / a for a, b in zip(old, new, strict=True))
        print(f"{what:44} {statistics.median(old):9.4g} {statistics.median(new):9.4g} {ratio:7.3f}")


if __name__ == "__main__":
    main()
