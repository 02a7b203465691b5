"""Timing models in turns, so that a machine whose speed drifts is fair to all of them."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maas.records.evidence import Latency
from maas.runtime.codec import Codec, Features
from maas.runtime.model import batches_of

ROUNDS, MIN_TURN_S = 30, 0.01
TIMED_AMONG = 4096
"""Rows that timed batches are drawn from, at most."""
TRIALS = 3
"""Runs by which the repetitions in a turn are chosen, after one that warms up."""


def interleaved(
    runs: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS, min_turn_s: float = MIN_TURN_S
) -> dict[str, NDArray[np.float64]]:
    """Times each run once a round, in turns.

    Args:
        runs: what to time, by name.
        rounds: turns each run gets, after one that is not counted.
        min_turn_s: a run that is shorter is repeated within its turn until the turn takes about this long.

    Returns:
        Milliseconds a run, (rounds,) each.
    """
    repeats = {name: _repeats(_trial_s(run), min_turn_s) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(_timed(run, repeats[name]))
    return {name: np.array(values) for name, values in times.items()}


def interleaved_s(once_s: float, *, rounds: int = ROUNDS, min_turn_s: float = MIN_TURN_S) -> float:
    """Returns the seconds that `interleaved` spends on a run of `once_s` seconds."""
    return once_s * (1 + TRIALS + rounds * _repeats(once_s, min_turn_s))


def timed_batches(processor: Codec, features: Sequence[Features], size: int, count: int) -> list[list[int]]:
    """Returns the row numbers of batches to time: full ones of one padded size each, evenly spread.

    Args:
        processor: of the rows; its buckets are the padded sizes.
        features: of the rows, one or more.
        size: rows in a batch; where no padded size has so many, rows of several are taken, again and again.
        count: of the batches, at most.
    """
    full = [batch for batch in batches_of(processor, features, size) if len(batch) == size]
    picked = np.linspace(0, len(full) - 1, min(count, len(full))).astype(int)
    return [full[index] for index in picked] or [[index % len(features) for index in range(size)]]


def latency(times: NDArray[np.float64], baseline: NDArray[np.float64], batch_size: int, threads: int) -> Latency:
    """Summarises one run's times against the baseline's of the same rounds.

    Args:
        times: milliseconds, (rounds,).
        baseline: milliseconds of the model that ratios refer to, (rounds,).
        batch_size: rows in a run.
        threads: intra-op threads.
    """
    first, median, third = np.quantile(times, [0.25, 0.5, 0.75])
    low, ratio, high = np.quantile(times / baseline, [0.25, 0.5, 0.75])
    return Latency(batch_size, threads, float(median), float(third - first), float(ratio), float(low), float(high))


def _trial_s(run: Callable[[], object]) -> float:
    run()
    return min(_timed(run, 1) for _ in range(TRIALS)) / 1e3


def _repeats(once_s: float, min_turn_s: float) -> int:
    return max(1, round(min_turn_s / max(once_s, 1e-9)))


def _timed(run: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) * 1e3 / repeats
