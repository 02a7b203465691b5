"""Batching without a window: whatever queued while the last batch ran is the next batch.

Rows of one batch have equal padded size. A batch that fails is run again job by job, so that one bad request never
fails its neighbours. This module knows neither HTTP nor models: a run is any function from features to outputs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from maas.errors import OverloadError
from maas.runtime.codec import Outputs
from maas.runtime.processors import Features

Run = Callable[[Sequence[Features]], Outputs]


@dataclass(slots=True, eq=False)
class Job:
    """Rows of one caller that are run together, and the future that receives their outputs."""

    features: Sequence[Features]
    key: int
    answer: "asyncio.Future[Outputs]"


class Batcher:
    """Queues jobs and runs them in batches, in the order of their arrival.

    Args:
        run: runs the graph once.
        batch_size: the most rows in a run; no job may have more.
        max_queue: the most rows that may wait.
        inline: run on the event loop itself instead of in a thread of its own; only for runs well below a millisecond.
        observe: told the number of rows of each run.
    """

    def __init__(
        self,
        run: Run,
        *,
        batch_size: int,
        max_queue: int,
        inline: bool,
        observe: Callable[[int], None] = lambda rows: None,  # noqa: ARG005
    ) -> None:
        self.batch_size = batch_size
        self.max_queue = max_queue
        self.queued_rows = 0
        self._run = run
        self._observe = observe
        self._queue: deque[Job] = deque()
        self._thread = None if inline else ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None
        self._flush_due = False

    @property
    def is_inline(self) -> bool:
        """Whether runs happen on the event loop itself."""
        return self._thread is None

    def check_room(self, rows: int) -> None:
        """Refuses what cannot be queued now.

        Raises:
            OverloadError: the queue has no room for so many rows.
        """
        if self.queued_rows + rows > self.max_queue:
            self._drop_cancelled()
        if self.queued_rows + rows > self.max_queue:
            raise OverloadError(
                f"The queue holds {self.queued_rows} rows of at most {self.max_queue}; {rows} more do not fit. "
                "Try again in a second."
            )

    def submit(self, features: Sequence[Features], key: int) -> "asyncio.Future[Outputs]":
        """Queues rows that are to be run together.

        Args:
            features: at most `batch_size` rows.
            key: their padded size; only jobs of equal key share a run.

        Returns:
            A future of the outputs; cancelling it takes the job out of the queue.

        Raises:
            OverloadError: the queue is full.
        """
        self.check_room(len(features))
        loop = asyncio.get_running_loop()
        job = Job(features, key, loop.create_future())
        self._queue.append(job)
        self.queued_rows += len(features)
        if self._thread is not None:
            if self._worker is None:
                self._worker = loop.create_task(self._work(self._thread))
        elif not self._flush_due:  # later in this turn of the loop, so that requests that came together run together
            self._flush_due = True
            loop.call_soon(self._flush)
        return job.answer

    async def close(self) -> None:
        """Finishes what is queued and ends the thread."""
        if self._worker is not None:
            await self._worker
        self._flush()
        if self._thread is not None:
            self._thread.shutdown()

    def _flush(self) -> None:
        self._flush_due = False
        while jobs := self._next_jobs():
            _deliver(jobs, outcomes_of(self._run, jobs))

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while jobs := self._next_jobs():
            _deliver(jobs, await loop.run_in_executor(thread, outcomes_of, self._run, jobs))
        self._worker = None

    def _next_jobs(self) -> list[Job]:
        """Takes the oldest job and those of its key that follow, as long as they fit into one run."""
        self._drop_cancelled()
        jobs: list[Job] = []
        rows = 0
        for job in self._queue:
            if jobs and job.key != jobs[0].key:
                continue
            rows += len(job.features)
            if jobs and rows > self.batch_size:
                break
            jobs.append(job)
        self._take(jobs)
        return jobs

    def _take(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        if len(jobs) == len(self._queue):
            self._queue.clear()
        else:
            taken = set(map(id, jobs))
            self._queue = deque(job for job in self._queue if id(job) not in taken)
        rows = sum(len(job.features) for job in jobs)
        self.queued_rows -= rows
        self._observe(rows)

    def _drop_cancelled(self) -> None:
        if any(job.answer.cancelled() for job in self._queue):
            self._queue = deque(job for job in self._queue if not job.answer.cancelled())
            self.queued_rows = sum(len(job.features) for job in self._queue)


def outcomes_of(run: Run, jobs: Sequence[Job]) -> list[Outputs | Exception]:
    """Runs jobs together; if that fails and there are several, runs each by itself.

    Returns:
        For each job its outputs, or the exception that it raised.
    """
    try:
        outputs = run([row for job in jobs for row in job.features])
        return _split(outputs, [len(job.features) for job in jobs])
    except Exception as error:  # noqa: BLE001  it is handed to the caller whose job it is
        if len(jobs) == 1:
            return [error]
    return [outcome for job in jobs for outcome in outcomes_of(run, [job])]


def _split(outputs: Outputs, sizes: Sequence[int]) -> list[Outputs | Exception]:
    if len(sizes) == 1:
        return [outputs]
    ends = np.cumsum(sizes).tolist()
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(sizes, ends, strict=True)
    ]


def _deliver(jobs: Sequence[Job], outcomes: Sequence[Outputs | Exception]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.answer.cancelled():
            continue
        if isinstance(outcome, Exception):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)
