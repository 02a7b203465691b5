"""How many calls a served model answered and how many runs it took, with their times: what protocols report of it."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import field

BatchRow = TypeVar("BatchRow")
RunOutcome = TypeVar("RunOutcome")


class Tally(msgspec.Struct):
    """How often something happened, and how long it took in all.

    Args:
        count: number of times.
        time_ns: all of them together, in nanoseconds.
    """

    count: int = 0
    time_ns: int = 0

    def add(self, time_ns: int) -> None:
        """Counts once more.

        Args:
            time_ns: how long it took, in nanoseconds.
        """
        self.count += 1
        self.time_ns += time_ns


class ModelStatistics(msgspec.Struct):
    """What happened to one version of a model since it is served.

    Args:
        succeeded: requests that were answered.
        failed: requests that were understood and not answered.
        runs: runs of the model by their number of rows.
        last_ms: when the last run ended, in milliseconds since 1970; 0 for never.
    """

    succeeded: Tally = field(default_factory=Tally)
    failed: Tally = field(default_factory=Tally)
    runs: dict[int, Tally] = field(default_factory=dict)
    last_ms: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def timed(self, run: Callable[[Sequence[BatchRow]], RunOutcome]) -> Callable[[Sequence[BatchRow]], RunOutcome]:
        """Returns a way to run the model that counts and times its runs; a run that fails is not counted."""

        def timed_run(batch: Sequence[BatchRow]) -> RunOutcome:
            start = time.perf_counter_ns()
            outputs = run(batch)
            end = time.perf_counter_ns()
            rows = len(batch)
            with self._counting:  # several runs may go on at one time
                if rows not in self.runs:
                    self.runs[rows] = Tally()
                self.runs[rows].add(end - start)
            self.last_ms = time.time_ns() // 1_000_000
            return outputs

        return timed_run

    def count_request(self, *, is_answered: bool, seconds: float) -> None:
        """Counts a request.

        Args:
            is_answered: whether it succeeded.
            seconds: from its head to its reply.
        """
        tally = self.succeeded if is_answered else self.failed
        tally.count += 1
        tally.time_ns += int(seconds * 1e9)
