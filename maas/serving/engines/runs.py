"""When runs of a model begin, where, and how many at one time: short ones on the event loop, long ones in threads.

What is run waits in a queue of jobs, or as small calls that are preprocessed just before. It admits nothing, and hands
what a run gives to the jobs.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from maas.runtime.model import Predictor, StoppableGraph
from maas.serving.costs import Costs, size_of
from maas.serving.engines.jobs import Job, JobQueue, slots_in
from maas.serving.engines.outcomes import ModelRun, hand_over, outcomes_of
from maas.serving.engines.small_calls import SmallCalls
from maas.serving.executors import INLINE_BELOW_S, Cores, ThreadExecutor


class RunScheduler:
    """Starts the runs of one model.

    Args:
        predictor: the model.
        run: runs it.
        costs: how long that takes.
        cores: that it shares with other models.
        jobs: those that wait.
        small: calls that wait to be preprocessed, and are jobs then.
        observe: receives the number of rows of each run.
    """

    def __init__(
        self,
        predictor: Predictor,
        run: ModelRun,
        costs: Costs,
        cores: Cores,
        jobs: JobQueue,
        small: SmallCalls,
        observe: Callable[[int], None],
    ) -> None:
        self._batch_size, self._threads_of_run = predictor.batch_size, predictor.threads
        self.run, self.observe = run, observe
        self._costs, self._cores = costs, cores
        self._jobs, self._small = jobs, small
        self._is_inline = costs.is_inline
        self._may_stop = isinstance(predictor.graph, StoppableGraph)
        self._most_runs = runs_at_one_time(predictor, costs, cores)
        self._threads = ThreadExecutor("model", self._most_runs)
        self._workers: set[asyncio.Task[None]] = set()
        self._running = self._running_rows = 0
        self._is_due = self._is_paused = False

    def schedule(self) -> None:
        """Starts runs in the loop's next turn, so that calls that arrive in this one run together."""
        if not self._is_due and self._has_turn:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._start_runs)

    def run_alone(self) -> bool:
        """Runs the one small call that waits, if nothing else does; returns whether nothing is left to run."""
        if not self._is_inline or self._is_paused or self._running or not self._jobs.is_empty:
            return False
        return self._small.run_alone(self._started)

    def _started(self, rows: int) -> None:
        self._jobs.release(rows)
        self.observe(rows)

    def pause(self) -> None:
        """Starts no more runs."""
        self._is_paused = True

    def resume(self) -> None:
        """Starts runs again."""
        self._is_paused = False
        self.schedule()

    async def close(self) -> None:
        """Waits for the runs that go on, and ends the threads."""
        await asyncio.gather(*self._workers)
        self._threads.close()

    def _start_runs(self) -> None:
        self._is_due = False
        if self.run_alone():
            return
        start = 0.0
        while self._has_turn and (jobs := self._next_jobs()):
            if not self._is_short(jobs):
                self._start_worker(jobs)
                continue
            start = start or time.perf_counter()
            hand_over(jobs, outcomes_of(self.run, jobs, may_stop=self._may_stop))
            if not self._small and self._jobs.is_empty:
                return
            if time.perf_counter() - start > INLINE_BELOW_S:
                self.schedule()  # others have their turn before the next batch
                return

    def _start_worker(self, jobs: list[Job]) -> None:
        self._running += 1
        self._running_rows += slots_in(jobs)
        self._cores.take(self._threads_of_run)
        worker = asyncio.get_running_loop().create_task(self._work(jobs))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    @property
    def _has_turn(self) -> bool:
        """Whether another run may begin beside those that go on."""
        if not self._running:
            return True
        return self._running < self._most_runs and self._cores.has(self._threads_of_run, self.schedule)

    async def _work(self, jobs: list[Job]) -> None:
        """Runs jobs, then those that came meanwhile."""
        while jobs:
            hand_over(jobs, await self._threads.run(partial(outcomes_of, self.run, jobs, may_stop=self._may_stop)))
            self._running_rows -= slots_in(jobs)
            is_others_turn = self._running > 1 and self._cores.is_overfull
            jobs = [] if is_others_turn else self._next_jobs()
            self._running_rows += slots_in(jobs)
            if not self._jobs.is_empty:
                self.schedule()
        self._running -= 1
        self._cores.leave(self._threads_of_run)

    def _is_short(self, jobs: Sequence[Job]) -> bool:
        """Whether a run is short enough for the event loop."""
        if self._is_inline:
            return True
        return self._costs.run_s(sum(size_of(row) for job in jobs for row in job.features)) <= INLINE_BELOW_S

    @property
    def _most_rows(self) -> int:
        """Largest number of rows in the next run: where several go on at one time, they share all rows alike."""
        if self._most_runs == 1:
            return self._batch_size
        rows = self._jobs.waiting_rows + self._running_rows
        return min(self._batch_size, -(-rows // self._most_runs))

    def _next_jobs(self) -> list[Job]:
        if self._is_paused:
            return []
        jobs: list[Job] = []
        while self._small and not jobs:
            jobs = self._small.take()
        if len(jobs) == 1 and self._jobs.is_empty:
            self._jobs.pass_through(jobs[0])
        elif jobs or not self._jobs.is_empty:
            self._jobs.put(jobs)
            jobs = self._jobs.take(self._most_rows)
        if jobs:
            self.observe(slots_in(jobs))
        return jobs


def runs_at_one_time(predictor: Predictor, costs: Costs, cores: Cores) -> int:
    """Returns the most runs of a model that go on at one time: of a short one several are no faster than one."""
    return max(1, cores.count // predictor.threads) if costs.is_long else 1
