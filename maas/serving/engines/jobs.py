"""Jobs that wait for a run: what queued while the last batch ran is the next batch. It runs nothing itself."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from maas.errors import OverloadError
from maas.runtime.codec import Features, Outputs

Deliver = Callable[[Outputs | Exception], None]
"""Receives the graph's outputs for some rows, or the fault that their run met."""


@dataclass(slots=True, eq=False)
class Job:
    """Rows of one caller that are run together.

    Args:
        features: preprocessed rows.
        bucket: padded size of the rows; only jobs of one bucket share a run.
        deliver: receives the outputs once, unless the job is withdrawn.
        is_whole_call: whether these are all rows of a call.
        is_waiting: whether the job is in no run yet.
        is_withdrawn: whether nobody wants the outputs any more; then it is never run.
    """

    features: Sequence[Features]
    bucket: int
    deliver: Deliver
    is_whole_call: bool = False
    is_waiting: bool = True
    is_withdrawn: bool = False


class JobQueue:
    """Jobs in the order of their arrival, and the rows that were admitted and do not run yet.

    Args:
        batch_size: largest number of rows in a run.
        max_rows: largest number of rows that may wait.
    """

    def __init__(self, batch_size: int, max_rows: int) -> None:
        self.batch_size = batch_size
        self.max_rows = max_rows
        self.waiting_rows = 0
        self._jobs: deque[Job] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return not self._jobs

    def admit(self, rows: int) -> None:
        """Reserves room.

        Raises:
            OverloadError: there is none for so many rows.
        """
        if self.waiting_rows + rows > self.max_rows:
            raise OverloadError(
                f"The queue holds {self.waiting_rows} rows of at most {self.max_rows}; {rows} more do not fit. "
                "Try again in a second."
            )
        self.waiting_rows += rows

    def release(self, rows: int) -> None:
        """Gives back room of rows that will not run."""
        self.waiting_rows -= rows

    def put(self, jobs: Iterable[Job]) -> None:
        """Adds jobs, whose rows were admitted before."""
        self._jobs.extend(jobs)

    def take(self) -> list[Job]:
        """Returns the oldest job and those of its bucket that follow, as long as they fit into one run."""
        jobs: list[Job] = []
        left: list[Job] = []
        rows = 0
        while self._jobs:
            job = self._jobs.popleft()
            if job.is_withdrawn:
                continue
            if jobs and job.bucket != jobs[0].bucket:
                left.append(job)
                continue
            if jobs and rows + len(job.features) > self.batch_size:
                left.append(job)
                break
            rows += len(job.features)
            job.is_waiting = False
            jobs.append(job)
        self._jobs.extendleft(reversed(left))
        self.waiting_rows -= rows
        return jobs
