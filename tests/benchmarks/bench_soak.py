"""A server under load for long, one of its workers killed, and servers that are stopped: memory, failures, latency.

    python -m tests.benchmarks.bench_soak [MINUTES] [BUNDLE]

First the capacity at 32 connections is found, by wrk where that is installed. Then requests of 32 rows are due at even
distances, at 70 % of it, for MINUTES (10); a latency counts from when its request was due, and the server's memory is
read every minute. Then one of two workers is killed in the middle of 20 s of the same load, beside clients that open a
connection for every request. At last, servers of one process and of two are stopped by SIGTERM, 20 times each, while
eight clients open connections: a request is lost that was sent on an established connection and never answered. Without
a bundle, a small model of arrays is served. It takes about three minutes longer than MINUTES, and ends with status 1 if
memory grew by more than 5 % after the first minute, a request failed that should not, or one was lost.
"""

import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from maas.load_testing.generator import Generator
from maas.load_testing.rates import arrivals
from maas.load_testing.settings import LoadSettings
from maas.load_testing.target import LoadTarget, load_target
from tests.benchmarks.bench_hostile import ROOT, make_bundle, server, small_bundles
from tests.benchmarks.loading import Target, loaded
from tests.unit.serving.fresh_client import FreshClient, Outcome

MINUTES, CONNECTIONS, FRACTION = 10.0, 32, 0.7
ROWS = 32
"""In a request of the steady load: of one row, requests at distances cost the server twice what they do in bursts."""
LARGEST_GROWTH = 0.05
ROUNDS, ROUND_S = 5, 2.0
TIMEOUT_S = 10.0
KILLED_S, PAUSE_S, PACED_CLIENTS = 20.0, 0.02, 2
STOPS, FRESH_CLIENTS = 20, 8
PATH = "/v1/predictions"
LATE = "not sent in time"
"""What the generator says where no connection was free: the load was too much for the machine."""
MODULE = "tests.benchmarks.bench_soak"


class Turn(NamedTuple):
    """What the load found in a turn."""

    answered: int
    errors: dict[str, int]
    p50_ms: float
    p99_ms: float
    longest_ms: float
    limit: str

    def __str__(self) -> str:
        """Returns cells of the table."""
        times = f"{self.p50_ms:.2f} | {self.p99_ms:.2f} | {self.longest_ms:.0f}"
        return f"{self.answered:,} | {sum(self.errors.values())} | {times}"


def main(minutes: float = MINUTES, folder: str | None = None) -> None:
    """Runs all three and prints what they found."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(folder) if folder else make_bundle(small_bundles(), "array", Path(scratch) / "bundle")
        rate, faults = soaked(bundle, minutes)
        faults += killed(bundle, rate)
        for workers in (1, 2):
            faults += stopped(bundle, workers)
    if faults:
        sys.exit("\n".join(faults))


def soaked(bundle: Path, minutes: float) -> tuple[float, list[str]]:
    """Loads a server for long; prints a table of its minutes.

    Returns:
        Requests a second, and what should not be.
    """
    turns = max(4, math.ceil(minutes))
    memory_mb, errors = [], Counter()
    with server(bundle) as (port, process):
        rate = FRACTION * capacity(port, body_of(port, ROWS))
        print(f"Capacity at {CONNECTIONS} connections: {rate / FRACTION:,.0f} requests/s; sent: {rate:,.0f} a second.")
        print("| minutes | answered | failed | p50 ms | p99 ms | longest ms | memory MB |")
        print("|---" * 7 + "|", flush=True)
        with load(port, rate, 60 * minutes / turns, turns) as found:
            for number, turn in enumerate(found, start=1):
                memory_mb.append(resident_mb(process))
                errors += Counter(turn.errors)
                print(f"| {number * minutes / turns:.1f} | {turn} | {memory_mb[-1]:.1f} | {turn.limit}", flush=True)
    growth = max(memory_mb) / memory_mb[0] - 1
    print(f"Memory grew by at most {growth:.1%} after the first {minutes / turns:.1f} minutes.")
    faults = [f"Requests failed at {FRACTION:.0%} of capacity: {dict(errors)}."] if errors else []
    if growth > LARGEST_GROWTH:
        faults.append(f"Memory grew by {growth:.1%}; at most {LARGEST_GROWTH:.0%} is right.")
    return rate, faults


def killed(bundle: Path, rate: float) -> list[str]:
    """Kills one of two workers under load; prints how long new connections waited. Returns what should not be."""
    with server(bundle, "workers=2") as (port, process):
        body = body_of(port)
        clients = [FreshClient(port, body, path=PATH, pause_s=PAUSE_S) for _ in range(PACED_CLIENTS)]
        with load(port, rate, KILLED_S, 1) as turns:
            time.sleep(KILLED_S / 2)
            process.children()[0].kill()
            killed_s = time.monotonic()
            turn = next(turns)
        outcomes = outcomes_of(clients)
    broken = [one.status for one in outcomes if one.status != 200 and one.began_s < killed_s]
    new = [one for one in outcomes if one.began_s >= killed_s]
    unanswered = [one.status for one in new if one.status != 200]
    print(
        f"One of two workers was killed: of {CONNECTIONS} connections with steady load failed {turn.errors or 'none'}"
    )
    print(f"(longest {turn.longest_ms:.0f} ms {turn.limit}), of {PACED_CLIENTS} that were new just then {len(broken)}.")
    print(f"Of {len(new)} connections opened after it, {len(unanswered)} were not answered; the longest took", end=" ")
    print(f"{1000 * max(one.seconds for one in new):.0f} ms.", flush=True)
    faults = [f"Connections that were opened after the kill were not answered: {unanswered}."] if unanswered else []
    if turn.errors.keys() - {"closed", LATE} or turn.errors.get("closed", 0) > CONNECTIONS:
        faults.append(f"More failed than what the killed worker had: {turn.errors}.")
    return faults


def stopped(bundle: Path, workers: int) -> list[str]:
    """Stops servers under load; prints how many requests were lost. Returns what should not be."""
    outcomes: list[Outcome] = []
    statuses: Counter[int] = Counter()
    for attempt in range(STOPS):
        with server(bundle, f"workers={workers}") as (port, process):
            body = body_of(port)
            clients = [FreshClient(port, body, path=PATH) for _ in range(FRESH_CLIENTS)]
            time.sleep(0.3 + 0.01 * attempt)
            process.terminate()
            statuses[process.wait()] += 1
            outcomes += outcomes_of(clients)
    lost = [one.status for one in outcomes if one.status != 200]
    print(
        f"{STOPS} servers of workers={workers} were stopped: {len(lost)} of {len(outcomes):,} requests, each on a new "
        f"connection, were lost; {statuses[0]} servers ended with status 0.",
        flush=True,
    )
    is_right = not lost and statuses.keys() == {0}
    return [] if is_right else [f"Servers that were stopped lost requests: {lost}, or failed: {dict(statuses)}."]


def capacity(port: int, body: bytes) -> float:
    """Returns the requests a second that are answered where each connection always has one; the median of rounds."""
    url, target = f"http://127.0.0.1:{port}{PATH}", Target("maas", PATH, (body,))
    return statistics.median(loaded(url, target, CONNECTIONS, ROUND_S).rate for _ in range(ROUNDS))


def outcomes_of(clients: list[FreshClient]) -> list[Outcome]:
    """Stops clients; returns what became of their requests."""
    for client in clients:
        client.is_stopped = True
    for client in clients:
        client.join()
    return [outcome for client in clients for outcome in client.outcomes]


def resident_mb(process: psutil.Process) -> float:
    """Returns the resident memory of a server and of its processes."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20


def target_of(port: int, rows: int) -> LoadTarget:
    """Returns what is sent: the documentation's example, so many times in a request."""
    return load_target(LoadSettings(f"http://127.0.0.1:{port}", path=PATH, rows=rows))


def body_of(port: int, rows: int = 1) -> bytes:
    """Returns the body of what is sent."""
    return target_of(port, rows).requests[0].partition(b"\r\n\r\n")[2]


@contextlib.contextmanager
def load(port: int, rate: float, seconds: float, turns: int) -> Iterator[Iterator[Turn]]:
    """Loads a server from a process of its own; yields what it finds, turn by turn."""
    command = [sys.executable, "-m", MODULE, "load", *map(str, (port, rate, seconds, turns))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        yield (Turn(*json.loads(line)) for line in process.stdout)


def send_load(port: int, rate: float, seconds: float, turns: int) -> None:
    """Sends requests at even distances; prints a line each turn."""
    generator = Generator(target_of(port, ROWS), CONNECTIONS, TIMEOUT_S)
    for _ in range(turns):
        found = generator.run(arrivals("even", rate, seconds), seconds + TIMEOUT_S)  # late ones are sent too
        times_ms = found.percentile_ms(50), found.percentile_ms(99), found.longest_ms
        print(json.dumps(Turn(len(found.answered), dict(found.errors), *times_ms, found.limit)), flush=True)
    generator.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["load", port, rate, seconds, turns]:
            send_load(int(port), float(rate), float(seconds), int(turns))
        case []:
            main()
        case [minutes]:
            main(float(minutes))
        case [minutes, folder]:
            main(float(minutes), folder)
        case _:
            sys.exit(__doc__)
