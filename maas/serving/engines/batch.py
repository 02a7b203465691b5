"""Batching without a waiting time: jobs that arrived while the last batch ran form the next batch.

Rows of one batch are of one bucket. A batch that fails is run again job by job, so that one bad call never fails its
neighbours. It knows no protocol and no transport.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Self

from maas.errors import DeadlineError, OverloadError
from maas.runtime.codec import Features, Outputs
from maas.runtime.model import Predictor, not_finite
from maas.serving.call import Call, Chunk, PreprocessedInputs, RowList, preprocessed_steps
from maas.serving.costs import Costs, size_of
from maas.serving.engines import Withdraw
from maas.serving.engines.jobs import Deliver, Job, JobQueue, rows_in
from maas.serving.engines.outcomes import CallOutcome, ModelRun, hand_over, in_order, outcomes_of
from maas.serving.engines.small_calls import SmallCall, SmallCalls
from maas.serving.engines.wait_limit import WaitLimit
from maas.serving.executors import INLINE_BELOW_S, Cores, Lane, ThreadExecutor
from maas.serving.faults import NotFiniteError, require_rows
from maas.serving.statistics import ModelStatistics


class BatchEngine:
    """Admits calls, preprocesses their rows, runs them in batches and gives one chunk for each call.

    Args:
        predictor: the model.
        costs: how long its work takes.
        lane: thread that preprocesses rows which would hold up the event loop.
        cores: that it shares with other models, for several runs at one time; null for one run at a time.
        max_queue: largest number of rows that may wait; one call takes at most half of them, so
            that it shuts nobody out.
        max_wait_s: time that rows may wait, in seconds; null for no limit but `max_queue`.
        observe: receives the number of rows of each run.
        statistics: counts and times runs.
    """

    def __init__(
        self,
        predictor: Predictor,
        costs: Costs,
        lane: Lane,
        *,
        cores: Cores | None = None,
        max_queue: int = 2048,
        max_wait_s: float | None = None,
        observe: Callable[[int], None] = lambda rows: None,  # noqa: ARG005
        statistics: ModelStatistics | None = None,
    ) -> None:
        self.costs = costs
        self.max_rows = (max_queue + 1) // 2
        self._is_inline, self._small_bytes = costs.is_inline, costs.bytes_preprocessed_in(INLINE_BELOW_S)
        self._predictor = predictor
        self._run: ModelRun = predictor.run if statistics is None else statistics.timed(predictor.run)
        self._lane = lane
        self._observe = observe
        self._jobs = JobQueue(predictor.batch_size, max_queue)
        self._cores = cores or Cores(1)
        self._most_runs = max(1, self._cores.count // predictor.threads) if costs.is_long else 1
        if max_wait_s is not None:
            self._run = WaitLimit(self._most_runs * max_wait_s, self._jobs, costs).timed(self._run)
        self._small = SmallCalls(predictor, self._run, costs, self._end_call)
        self._threads = ThreadExecutor("model", self._most_runs)
        self._workers: set[asyncio.Task[None]] = set()
        self._running = self._running_rows = 0
        self._is_due = self._is_paused = self._is_draining = False
        self._calls = 0
        self._idle = asyncio.Event()

    @property
    def summary(self) -> str:
        """The longest run that was measured, and whether the event loop or a thread runs it."""
        where = "on the event loop" if self.costs.is_inline else "in a thread"
        if self._most_runs > 1:
            where = f"in up to {self._most_runs} threads"
        rows = f"{self.costs.rows} longest rows" if self.costs.rows > 1 else "the longest row"
        return f"a run of {rows}: {1000 * self.costs.longest_run_s:.2f} ms, {where}"

    @property
    def queued_rows(self) -> int:
        """Rows that were admitted and do not run yet."""
        return self._jobs.waiting_rows

    def submit(self, call: Call) -> AsyncIterator[Chunk]:
        """Returns a stream of one chunk: the graph's outputs for a call's rows, in the order of the rows.

        They are those of `Predictor.outputs`, bit for bit, unless rows of other callers share a batch. The call is
        admitted when the chunk is wanted.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or an output is not finite.
            OverloadError: there is no room for the call, or the engine is being drained.
            DeadlineError: the call's deadline has passed.
        """
        return _OneChunk(self._outputs if call.deadline_s is None else self._in_time, call)

    def start(self, call: Call, deliver: Deliver) -> Withdraw | None:
        """Admits a call of one row that is read and run on the event loop.

        It costs no task and no future, which take longer than the run of a small model.

        Args:
            call: what is wanted.
            deliver: receives the outputs or the fault in a later turn of the loop.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for it, or the engine is being drained.
        """
        inputs = call.inputs
        if not isinstance(inputs, RowList) or not self._is_small(call, inputs):
            return None
        self._admit(call, 1)
        small = SmallCall(inputs.rows, call.size_bytes, deliver)
        self._small.put(small)
        self._schedule()
        return partial(self._small.withdraw, small)

    def pause(self) -> None:
        """Starts no more runs; calls are admitted and wait."""
        self._is_paused = True

    def resume(self) -> None:
        """Starts runs again."""
        self._is_paused = False
        self._schedule()

    async def drain(self) -> None:
        """Admits no more calls, finishes those that were admitted, and ends the model's threads."""
        self._is_draining = True
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
        await asyncio.gather(*self._workers)
        self._threads.close()

    async def _in_time(self, call: Call) -> Outputs:
        """Awaits the outputs of a call no longer than until its deadline."""
        try:
            async with asyncio.timeout_at(call.deadline_s):
                return await self._outputs(call)
        except TimeoutError as error:
            raise DeadlineError("The deadline of the request has passed.") from error

    async def _outputs(self, call: Call) -> Outputs:
        """Admits a call, preprocesses its rows and awaits their runs."""
        inputs, processor = call.inputs, self._predictor.processor
        rows, jobs = len(inputs), list[Job]()
        self._admit(call, rows)
        try:
            if isinstance(inputs, PreprocessedInputs):
                features = inputs.features
            elif self.costs.preprocess_s(call.size_bytes) <= INLINE_BELOW_S:
                features = processor.preprocess(inputs.rows)
            else:
                pieces = await self._lane.run(preprocessed_steps(inputs, processor))
                features = [row for piece in pieces for row in piece]
            batches = [[0]] if rows == 1 else list(self._predictor.batches(features))
            parts = CallOutcome(len(batches))
            jobs = [
                self._job([features[index] for index in batch], partial(parts.take, number))
                for number, batch in enumerate(batches)
            ]
            self._jobs.put(jobs, call.priority)
            self._schedule()
            outputs = in_order(batches, await parts.whole)
            jobs, rows = [], 0  # all have run
        finally:
            self._leave(jobs, rows)
        if fault := not_finite(outputs):
            raise NotFiniteError(fault)
        return outputs

    def _admit(self, call: Call, rows: int) -> None:
        if self._is_draining:
            raise OverloadError(f"Model {call.model!r} is being replaced. Try again in a second.")
        if rows != 1:
            require_rows(rows, self.max_rows)
        self._jobs.admit(rows, call.priority)
        self._calls += 1

    def _is_small(self, call: Call, inputs: RowList) -> bool:
        """Whether a call is one row that is preprocessed and run in the loop."""
        return (
            self._is_inline
            and call.size_bytes <= self._small_bytes
            and len(inputs.rows) == 1
            and call.deadline_s is None
            and not call.priority
        )

    def _leave(self, jobs: Sequence[Job], rows: int) -> None:
        """Withdraws those of a call's jobs that have not run, and frees the room that their rows take in the queue."""
        for job in jobs:
            job.is_withdrawn = True
            rows -= 0 if job.is_waiting else len(job.features)
        self._end_call(rows)

    def _end_call(self, rows: int) -> None:
        """Counts a call that has ended, and frees the room of those of its rows that will not run."""
        if rows:
            self._jobs.release(rows)
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    def _job(self, features: list[Features], deliver: Deliver) -> Job:
        return Job(features, self._predictor.processor.bucket(features[0]), deliver)

    def _schedule(self) -> None:
        """Starts runs in the loop's next turn, so that calls that arrive in this one run together."""
        if not self._is_due and self._has_turn:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._start_runs)

    def _start_runs(self) -> None:
        self._is_due = False
        start = 0.0
        while self._has_turn and (jobs := self._next_jobs()):
            if not self._is_short(jobs):
                self._running += 1
                self._running_rows += rows_in(jobs)
                self._cores.take(self._predictor.threads)
                worker = asyncio.get_running_loop().create_task(self._work(jobs))
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)
                continue
            start = start or time.perf_counter()
            hand_over(jobs, outcomes_of(self._run, jobs))
            if not self._small and self._jobs.is_empty:
                return
            if time.perf_counter() - start > INLINE_BELOW_S:
                self._schedule()  # others have their turn before the next batch
                return

    @property
    def _has_turn(self) -> bool:
        """Whether another run may begin beside those that go on."""
        if not self._running:
            return True
        return self._running < self._most_runs and self._cores.has(self._predictor.threads, self._schedule)

    async def _work(self, jobs: list[Job]) -> None:
        """Runs jobs, then those that came meanwhile."""
        while jobs:
            hand_over(jobs, await self._threads.run(partial(outcomes_of, self._run, jobs)))
            self._running_rows -= rows_in(jobs)
            is_others_turn = self._running > 1 and self._cores.is_overfull
            jobs = [] if is_others_turn else self._next_jobs()
            self._running_rows += rows_in(jobs)
            if not self._jobs.is_empty:
                self._schedule()
        self._running -= 1
        self._cores.leave(self._predictor.threads)

    def _is_short(self, jobs: Sequence[Job]) -> bool:
        """Whether a run is short enough for the event loop."""
        if self._is_inline:
            return True
        return self.costs.run_s(sum(size_of(row) for job in jobs for row in job.features)) <= INLINE_BELOW_S

    @property
    def _most_rows(self) -> int:
        """Largest number of rows in the next run: where several go on at one time, they share all rows alike."""
        if self._most_runs == 1:
            return self._predictor.batch_size
        rows = self._jobs.waiting_rows + self._running_rows
        return min(self._predictor.batch_size, -(-rows // self._most_runs))

    def _next_jobs(self) -> list[Job]:
        if self._is_paused:
            return []
        while self._small:
            self._jobs.put(self._small.take())
            if not self._jobs.is_empty:
                break
        jobs = [] if self._jobs.is_empty else self._jobs.take(self._most_rows)
        if jobs:
            self._observe(rows_in(jobs))
        return jobs


class _OneChunk:
    """A stream of one chunk. An asynchronous generator does the same, but takes longer than a run of a small model."""

    __slots__ = ("_call", "_outputs")

    def __init__(self, outputs: Callable[[Call], Awaitable[Outputs]], call: Call) -> None:
        self._outputs = outputs
        self._call: Call | None = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._call is None:
            raise StopAsyncIteration
        call, self._call = self._call, None
        return Chunk(await self._outputs(call))
