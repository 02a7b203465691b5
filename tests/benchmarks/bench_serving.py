"""Requests a second of the server, against a do-nothing endpoint, the graph alone, FastAPI by hand, another checkout.

    python -m tests.benchmarks.bench_serving runs/digits_mlp/latest/bundle [CHECKOUT] [--rounds 5] [--seconds 2]

Servers and load generator (wrk, or a client of its own where that is not installed) are processes of their own. The
targets and the graph alone take turns, several rounds in one run; what counts are the ratios of a round, not the
numbers, which other work on the machine moves. `CHECKOUT` is a folder with another version of maas. A light model
takes about two minutes; one of more than a millisecond a row is measured for longer, about seven minutes in all.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil

from maas.runtime.bundle import Bundle
from tests.benchmarks.loading import Target, loaded
from tests.benchmarks.raw_loop import Sent, batch_sizes, raw_rate

ROUNDS, CONNECTIONS = 5, (1, 32)
OURS, BINARY, NOTHING = "maas /predict", "maas v2 binary", "do nothing"
ROOT = Path(__file__).parents[2]
RAW_FRACTION = 1 / 4  # of a measurement of a server, for one batch size of the graph alone


@dataclass(frozen=True)
class Measured:
    """One round of one target."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float


Found = dict[tuple[str, int], list[Measured]]
"""Rounds by target and number of connections."""
Raw = dict[int, list[float]]
"""Rows a second of the graph alone, by batch size."""


def main(folder: str, checkout: str | None = None, rounds: int = ROUNDS, seconds: float | None = None) -> None:
    """Starts the servers, lets them take turns and prints a table."""
    bundle = Bundle.open(folder)
    sent = Sent.to(bundle, seconds)
    targets = targets_of(bundle, sent, has_other=checkout is not None)
    found: Found = {}
    raw: Raw = {}
    with servers(folder, checkout) as started:
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for name, target in targets.items():
                    one = measured(started, target, connections, sent.seconds)
                    found.setdefault((name, connections), []).append(one)
                for size in [1] if connections == 1 else batch_sizes(bundle)[1:]:
                    raw.setdefault(size, []).append(raw_rate(bundle, sent.rows, size, sent.seconds * RAW_FRACTION))
    print(f"{bundle.manifest.name}, {rounds} rounds of {sent.seconds:g} s, medians; {described(sent, bundle)}")
    print("\n".join(fractions_of_raw(found, raw)))
    print_table(found)


def described(sent: Sent, bundle: Bundle) -> str:
    """Returns what is sent, with the conditions."""
    length = bundle.predictor.processor.bucket(bundle.predictor.preprocess(sent.rows[:1])[0])
    return (
        f"{len(sent.rows)} rows in turn, padded length {length}, {bundle.predictor.threads} intra-op threads, "
        f"load average {os.getloadavg()[0]:.1f}"
    )


def fractions_of_raw(found: Found, raw: Raw) -> Iterator[str]:
    """Yields the graph's own rates, what of them the server reaches, and whether the load generator was the limit."""
    medians = {size: statistics.median(rates) for size, rates in raw.items()}
    yield f"graph alone: {', '.join(f'{rate:,.1f} rows/s in runs of {size}' for size, rate in sorted(medians.items()))}"
    best = max(medians, key=medians.get)
    for connections, size, which in ((1, 1, ""), (32, best, ", its best batch")):
        rates = [one.rate for one in found[OURS, connections]]
        yield f"{plural(connections)}: {spread(rates, raw[size], '.1%')} of the graph alone in runs of {size}{which}"
    ours = found[OURS, 32]
    tails = spread([one.p99_us for one in ours], [one.p50_us for one in ours], ".2f")
    yield f"{plural(32)}: p99 is {tails} times p50"
    model_us = [1e6 / rate for rate in raw[1]]
    for name in (OURS, BINARY):
        if (name, 1) in found:
            less = [one.p50_us - run_us for one, run_us in zip(found[name, 1], model_us, strict=True)]
            times = spread(less, [one.p50_us for one in found[nothing_for(name), 1]], ".2f")
            yield f"{plural(1)}: p50 of {name} less a run of the graph is {times} times that of {nothing_for(name)}"
    for connections in CONNECTIONS:
        most = spread(
            [one.rate for one in found[NOTHING, connections]], [one.rate for one in found[OURS, connections]], ".1f"
        )
        yield f"{plural(connections)}: the load generator reaches {most} times the server's rate on {NOTHING}"


def plural(connections: int) -> str:
    """Returns a number of connections in words."""
    return f"at {connections} connection{'s' if connections > 1 else ''}"


def spread(ours: list[float], theirs: list[float], form: str) -> str:
    """Returns the median of the rounds' ratios, with the smallest and the largest."""
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    return f"{statistics.median(ratios):{form}} ({ratios[0]:{form}} to {ratios[-1]:{form}})"


def print_table(found: Found) -> None:
    """Prints a line for each target and number of connections."""
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


def targets_of(bundle: Bundle, sent: Sent, *, has_other: bool) -> dict[str, Target]:
    """Returns the targets by name; their bodies also go to the do-nothing endpoint."""
    plain = tuple(json.dumps({"input_data": [row]}).encode() for row in sent.rows)
    targets = {OURS: Target("maas", "/predict", plain)}
    if has_other:
        targets["other /predict"] = Target("other", "/predict", plain)
    if bundle.predictor.signature.inputs[0].datatype in ("FP32", "FP64"):
        path, bodies, headers = binary(bundle, sent)
        targets[BINARY] = Target("maas", path, bodies, headers)
        targets[f"{NOTHING}, binary"] = Target("nothing", path, bodies, headers)
    return targets | {"FastAPI": Target("FastAPI", "/predict", plain), NOTHING: Target("nothing", "/predict", plain)}


def binary(bundle: Bundle, sent: Sent) -> tuple[str, tuple[bytes, ...], tuple[tuple[str, str], ...]]:
    """Returns path, bodies and headers of the v2 protocol's binary tensors, of one row each."""
    spec = bundle.predictor.signature.inputs[0]
    arrays = [np.asarray([row], dtype=np.float32 if spec.datatype == "FP32" else np.float64) for row in sent.rows]
    tensor = {"name": spec.name, "datatype": spec.datatype, "shape": list(arrays[0].shape)}
    tensor["parameters"] = {"binary_data_size": arrays[0].nbytes}
    wanted = {"binary_data_output": True}  # tritonclient's default
    head = json.dumps({"inputs": [tensor], "parameters": wanted}).encode()
    headers = (("inference-header-content-length", str(len(head))),)
    return f"/v2/models/{bundle.manifest.name}/infer", tuple(head + one.tobytes() for one in arrays), headers


def nothing_for(name: str) -> str:
    """Returns the do-nothing target that gets the same bodies."""
    return f"{NOTHING}, binary" if "binary" in name else NOTHING


def ratio(ours: list[Measured], theirs: list[Measured], figure: str) -> float:
    """Returns the median over the rounds of one target's figure by another's."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(getattr(one, figure) / getattr(other, figure) for one, other in pairs)


@contextlib.contextmanager
def servers(folder: str, checkout: str | None) -> Iterator[dict[str, tuple[int, psutil.Process]]]:
    """Starts the servers; yields their ports and processes."""
    maas = ["-m", "maas.serve", f"model={Path(folder).resolve()}", "port=PORT"]
    compared = ["-m", "tests.benchmarks.compared_servers", "PORT"]
    commands = {"maas": maas, "FastAPI": [*compared, str(Path(folder).resolve())], "nothing": compared}
    if checkout is not None:
        commands["other"] = maas
    with contextlib.ExitStack() as stack:
        started = {}
        for name, command in commands.items():
            root, port = checkout if name == "other" else ROOT, free_port()
            process = subprocess.Popen(
                [sys.executable, *(part.replace("PORT", str(port)) for part in command)],
                stdout=subprocess.DEVNULL,
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_until_ready(process, port)
            started[name] = (port, psutil.Process(process.pid))
        yield started


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until_ready(process: subprocess.Popen, port: int) -> None:
    """Waits until a server accepts connections.

    Raises:
        SystemExit: it ended before.
    """
    while process.poll() is None:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/")
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args} ended before it accepted connections.")


def measured(
    started: dict[str, tuple[int, psutil.Process]], target: Target, connections: int, seconds: float
) -> Measured:
    """Loads a server from a process of its own."""
    port, process = started[target.server]
    before = process.cpu_times()
    one = loaded(f"http://127.0.0.1:{port}{target.path}", target, connections, seconds)
    after = process.cpu_times()
    cpu_s = after.user - before.user + after.system - before.system
    return Measured(one.rate, one.p50_us, one.p99_us, 1e6 * cpu_s / one.requests)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("checkout", nargs="?")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float)
    main(**vars(parser.parse_args()))
