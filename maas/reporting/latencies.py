"""How long one row takes, here and now: from the raw row to its prediction, one after another."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.machine import this_machine
from maas.records.evidence import Machine
from maas.runtime.bundle import Bundle

RUNS, WARM_UP = 500, 5
LATENCY_LIMIT_S = 3.0
"""Seconds that are spent on it."""


@dataclass(frozen=True)
class RowLatencies:
    """Times of single rows.

    Args:
        latencies_ms: in milliseconds, (N,).
        machine: machine that they were measured on.
        threads: intra-op threads.
    """

    latencies_ms: NDArray[np.float64]
    machine: Machine
    threads: int


def row_latencies(bundle: Bundle, rows: Sequence[Any], *, limit_s: float = LATENCY_LIMIT_S) -> RowLatencies:
    """Times predictions of one row each, after some that do not count.

    Args:
        bundle: a model that predicts.
        rows: raw rows, taken in turn; one or more.
        limit_s: seconds after which no more are begun.
    """
    predictor = bundle.checked_predictor
    times = _timed(lambda row: predictor.predict([row]), rows, limit_s)
    return RowLatencies(times, this_machine(), predictor.threads)


def _timed(predict: Callable[[Any], object], rows: Sequence[Any], limit_s: float) -> NDArray[np.float64]:
    started, times = time.monotonic(), list[float]()
    for run in range(WARM_UP + RUNS):
        begun = time.perf_counter()
        predict(rows[run % len(rows)])
        times.append(1e3 * (time.perf_counter() - begun))
        if time.monotonic() - started > limit_s:
            break
    return np.array(times[WARM_UP:] or times[-1:])
