"""Jobs that wait for a run: what queued while the last batch ran is the next batch. It runs nothing itself."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from maas.errors import OverloadError
from maas.runtime.codec import Features, Outputs
from maas.serving.call import HIGH, LOW, NORMAL

MOST_PASSED = 7
"""Runs in a row for which a priority that waits is passed over."""
Deliver = Callable[[Outputs | Exception], None]
"""Receives the graph's outputs for some rows, or the fault that their run met."""


class Job(msgspec.Struct, eq=False):
    """Rows of one caller that are run together.

    Args:
        features: preprocessed rows.
        bucket: padded size of the rows; only jobs of one bucket share a run.
        slots: how many rows of a run they count as.
        deliver: receives the outputs once, unless the job is withdrawn.
        is_waiting: whether the job is in no run yet.
        is_withdrawn: whether nobody wants the outputs any more; then it is never run.
    """

    features: Sequence[Features]
    bucket: int
    slots: int
    deliver: Deliver
    is_waiting: bool = True
    is_withdrawn: bool = False


class JobQueue:
    """Jobs in the order of their arrival, by priority, and the rows that were admitted and do not run yet.

    A run begins with the oldest job of the highest priority, and is filled with others of its bucket. No priority
    starves: where a lower one waits, it is passed over for at most `MOST_PASSED` runs in a row.

    Args:
        batch_size: largest number of rows in a run.
        max_waiting_rows: largest number of rows that may wait; work of low priority may take half of them. It may be
            lowered and raised again later.
    """

    def __init__(self, batch_size: int, max_waiting_rows: int) -> None:
        self.batch_size = batch_size
        self.max_waiting_rows = self._most_at_once = max_waiting_rows
        self.waiting_rows = 0
        self._jobs: deque[Job] = deque()
        self._by_priority = {HIGH: deque[Job](), NORMAL: self._jobs, LOW: deque[Job]()}
        self._passed = dict.fromkeys(self._by_priority, 0)
        self._is_plain = True

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return not self._jobs and (self._is_plain or not any(self._by_priority.values()))

    def admit(self, rows: int, priority: int = NORMAL) -> None:
        """Reserves room.

        Raises:
            OverloadError: there is none for so many rows.
        """
        most = self.max_waiting_rows if priority != LOW else (self.max_waiting_rows + 1) // 2
        if self.waiting_rows + rows > most and (self.waiting_rows or rows > self._most_at_once):
            shown = "" if priority != LOW else " for work of low priority"
            raise OverloadError(
                f"The queue holds {self.waiting_rows} rows of at most {most}{shown}; {rows} more do not fit. "
                "Try again in a second."
            )
        self.waiting_rows += rows

    def release(self, rows: int) -> None:
        """Gives back room of rows that will not run."""
        self.waiting_rows -= rows

    def put(self, jobs: Iterable[Job], priority: int = NORMAL) -> None:
        """Adds jobs, whose rows were admitted before."""
        if priority == NORMAL:
            self._jobs.extend(jobs)
        else:
            self._by_priority[priority].extend(jobs)
            self._is_plain = False

    def pass_through(self, job: Job) -> None:
        """Lets a job run at once that finds none waiting; its rows were admitted before."""
        job.is_waiting = False
        self.waiting_rows -= job.slots

    def take(self, most_rows: int | None = None) -> list[Job]:
        """Returns the job whose turn it is and those of its bucket that follow, as long as they fit into one run.

        Args:
            most_rows: largest number of rows in this run, unless its first job has more; null for `batch_size`.
        """
        jobs: list[Job] = []
        rows, most_rows = 0, most_rows or self.batch_size
        for waiting in (self._jobs,) if self._is_plain else self._in_turn():
            rows = _fill(jobs, rows, waiting, most_rows)
            if rows >= most_rows:
                break
        self.waiting_rows -= rows
        return jobs

    def _in_turn(self) -> list[deque[Job]]:
        """Returns the jobs of each priority, those first whose turn it is."""
        order = [priority for priority, jobs in self._by_priority.items() if jobs]
        self._is_plain = order in ([], [NORMAL])
        if not order:
            return []
        first = max(order, key=self._passed.__getitem__)
        if self._passed[first] < MOST_PASSED:
            first = order[0]
        for priority in self._passed:
            self._passed[priority] = self._passed[priority] + 1 if priority in order and priority != first else 0
        return [self._by_priority[priority] for priority in (first, *(one for one in order if one != first))]


def slots_in(jobs: Sequence[Job]) -> int:
    """Returns how many rows of a run some jobs count as."""
    return jobs[0].slots if len(jobs) == 1 else sum([job.slots for job in jobs])


def _fill(jobs: list[Job], rows: int, waiting: deque[Job], most_rows: int) -> int:
    """Moves jobs of one bucket into a run, as long as they fit, and returns the number of its rows."""
    left: list[Job] = []
    while waiting:
        job = waiting.popleft()
        if job.is_withdrawn:
            continue
        if jobs and job.bucket != jobs[0].bucket:
            left.append(job)
            continue
        if jobs and rows + job.slots > most_rows:
            left.append(job)
            break
        rows += job.slots
        job.is_waiting = False
        jobs.append(job)
    waiting.extendleft(reversed(left))
    return rows
