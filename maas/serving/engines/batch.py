"""Batching without a waiting time: jobs that arrived while the last batch ran form the next batch.

Rows of one batch are of one bucket. A batch that fails is run again job by job, so that one bad call never fails its
neighbours. It knows no protocol and no transport.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Self

from maas.errors import DeadlineError, OverloadError
from maas.runtime.codec import Features, Outputs
from maas.runtime.model import Predictor, not_finite
from maas.serving.call import Call, Chunk, PreprocessedInputs, RowList, preprocessed_steps
from maas.serving.costs import Costs
from maas.serving.engines import Withdraw
from maas.serving.engines.jobs import Deliver, Job, JobQueue
from maas.serving.engines.outcomes import CallOutcome, ModelRun, in_order
from maas.serving.engines.runs import RunScheduler, runs_at_one_time
from maas.serving.engines.small_calls import AnySmallCall, SmallCall, SmallCalls, outputs_by_row
from maas.serving.engines.wait_limit import WaitLimit
from maas.serving.executors import INLINE_BELOW_S, Cores, Lane
from maas.serving.faults import NotFiniteError, require_rows
from maas.serving.statistics import ModelStatistics


class BatchEngine:
    """Admits calls, preprocesses their rows, lets them run in batches and gives one chunk for each call.

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
        self._small_bytes = costs.bytes_preprocessed_in(INLINE_BELOW_S) if costs.is_inline else -1
        self._predictor, self._lane = predictor, lane
        self._jobs = JobQueue(predictor.batch_size, max_queue)
        cores = cores or Cores(1)
        self._most_runs = runs_at_one_time(predictor, costs, cores)
        run: ModelRun = predictor.run if statistics is None else statistics.timed(predictor.run)
        if max_wait_s is not None:
            run = WaitLimit(self._most_runs * max_wait_s, self._jobs, costs).timed(run)
        self._small = SmallCalls(predictor, run, costs, self._end_call)
        self._runs = RunScheduler(predictor, run, costs, cores, self._jobs, self._small, observe)
        self._is_draining = False
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

        Args:
            call: what is wanted.
            deliver: receives the outputs or the fault in a later turn of the loop.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for it, or the engine is being drained.
        """
        inputs = call.inputs
        if not isinstance(inputs, RowList) or len(inputs.rows) != 1 or call.deadline_s is not None or call.priority:
            return None
        self._require_open(call)
        return self.start_small(SmallCall(inputs.rows, call.size_bytes, outputs_by_row, deliver))

    def start_small(self, small: AnySmallCall) -> Withdraw | None:
        """Admits a call that was found to be one row, if it is preprocessed and run on the event loop.

        It costs no task and no future, which take longer than the run of a small model. One that is alone has its
        outcome at once, if nothing else waits or runs.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for it.
        """
        if small.size_bytes > self._small_bytes or self._is_draining:
            return None
        self._jobs.admit(1)
        self._calls += 1
        self._small.put(small)
        if not (small.is_alone and self._runs.run_alone()):
            self._runs.schedule()
        return partial(self._small.withdraw, small)

    def pause(self) -> None:
        """Starts no more runs; calls are admitted and wait."""
        self._runs.pause()

    def resume(self) -> None:
        """Starts runs again."""
        self._runs.resume()

    async def drain(self) -> None:
        """Admits no more calls, finishes those that were admitted, and ends the model's threads."""
        self._is_draining = True
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
        await self._runs.close()

    async def _in_time(self, call: Call) -> Outputs:
        """Awaits the outputs of a call no longer than until its deadline."""
        try:
            async with asyncio.timeout_at(call.deadline_s):
                return await self._outputs(call)
        except TimeoutError as error:
            raise DeadlineError("The deadline of the request has passed.") from error

    async def _outputs(self, call: Call) -> Outputs:
        """Admits a call, preprocesses its rows and awaits their runs."""
        rows, jobs = len(call.inputs), list[Job]()
        self._admit(call, rows)
        try:
            features = await self._preprocessed(call)
            rows = self._admit_slots(call, features)
            batches = [[0]] if rows == 1 else list(self._predictor.batches(features))
            parts = CallOutcome(len(batches))
            jobs = [
                self._job([features[index] for index in batch], partial(parts.take, number))
                for number, batch in enumerate(batches)
            ]
            self._jobs.put(jobs, call.priority)
            self._runs.schedule()
            outputs = in_order(batches, await parts.whole)
            jobs, rows = [], 0  # all have run
        finally:
            self._leave(jobs, rows)
        if fault := not_finite(outputs):
            raise NotFiniteError(fault)
        return outputs

    async def _preprocessed(self, call: Call) -> Sequence[Features]:
        """Returns the preprocessed rows of a call; the lane makes them where that takes long."""
        inputs, processor = call.inputs, self._predictor.processor
        if isinstance(inputs, PreprocessedInputs):
            return inputs.features
        if self.costs.preprocess_s(call.size_bytes) <= INLINE_BELOW_S:
            return processor.preprocess(inputs.rows)
        pieces = await self._lane.run(preprocessed_steps(inputs, processor))
        return [row for piece in pieces for row in piece]

    def _admit(self, call: Call, rows: int) -> None:
        self._require_open(call)
        if rows != 1:
            require_rows(rows, self.max_rows)
        self._jobs.admit(rows, call.priority)
        self._calls += 1

    def _admit_slots(self, call: Call, features: Sequence[Features]) -> int:
        """Admits what rows take beyond a place for each, and returns how many places they have."""
        rows, slots = len(features), self._slots(features)
        if slots > rows:
            require_rows(slots, self.max_rows, "rows, each counted as often as it has beams")
            self._jobs.admit(slots - rows, call.priority)
        return slots

    def _require_open(self, call: Call) -> None:
        if self._is_draining:
            raise OverloadError(f"Model {call.model!r} is being replaced. Try again in a second.")

    def _leave(self, jobs: Sequence[Job], rows: int) -> None:
        """Withdraws those of a call's jobs that have not run, and frees the room that their rows take in the queue."""
        for job in jobs:
            job.is_withdrawn = True
            rows -= 0 if job.is_waiting else job.slots
        self._end_call(rows)

    def _end_call(self, rows: int) -> None:
        """Counts a call that has ended, and frees the room of those of its rows that will not run."""
        if rows:
            self._jobs.release(rows)
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    def _job(self, features: list[Features], deliver: Deliver) -> Job:
        processor = self._predictor.processor
        return Job(features, processor.bucket(features[0]), self._slots(features), deliver)

    def _slots(self, features: Sequence[Features]) -> int:
        processor = self._predictor.processor
        return sum(map(processor.slots, features)) if processor.row_keys else len(features)


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
