"""What runs give: a run's outputs by job, and a call's outputs from all of its jobs."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeVar

import numpy as np

from maas.runtime.codec import Features, Outputs, WantedRows
from maas.serving.engines.jobs import Job
from maas.serving.executors import Result

Item = TypeVar("Item")
ModelRun = Callable[[Sequence[Features]], Outputs]


class CallOutcome:
    """What the jobs of one call give, as one future; it fails with the first of them.

    Args:
        count: number of jobs.
    """

    def __init__(self, count: int) -> None:
        self.whole: asyncio.Future[list[Outputs]] = asyncio.get_running_loop().create_future()
        self._parts: list[Outputs] = [{}] * count
        self._left = count

    def take(self, number: int, outcome: Outputs | Exception) -> None:
        """Takes what one job gives."""
        if self.whole.done():
            return
        if isinstance(outcome, Exception):
            self.whole.set_exception(outcome)
            return
        self._parts[number] = outcome
        self._left -= 1
        if not self._left:
            self.whole.set_result(self._parts)


def each_by_itself(
    work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
) -> Sequence[Result | Exception]:
    """Does some work for several items together; if that fails, for each by itself.

    Returns:
        For each item its result, or the exception that it raised.
    """
    try:
        return work(items)
    except Exception as error:  # noqa: BLE001  ONNX Runtime's have no base; it is handed to the caller whose item it is
        if len(items) == 1:
            return [error]
    return [outcome for item in items for outcome in each_by_itself(work, [item])]


def outcomes_of(run: ModelRun, jobs: Sequence[Job], *, may_stop: bool = False) -> Sequence[Outputs | Exception]:
    """Runs jobs together; if that fails and there are several, runs each by itself.

    Args:
        run: runs rows.
        jobs: one or more.
        may_stop: whether a run leaves rows out of jobs that are withdrawn while it goes on.

    Returns:
        For each job its outputs, or the exception that it raised.
    """
    return each_by_itself(partial(_parts_of_run, run, may_stop), jobs)


def _parts_of_run(run: ModelRun, may_stop: bool, jobs: Sequence[Job]) -> Sequence[Outputs]:
    rows = jobs[0].features if len(jobs) == 1 else [row for job in jobs for row in job.features]
    outputs = run(_wanted_rows(rows, jobs) if may_stop else rows)
    if len(jobs) == 1:
        return [outputs]
    sizes = [len(job.features) for job in jobs]
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(sizes, accumulate(sizes), strict=True)
    ]


def _wanted_rows(rows: Sequence[Features], jobs: Sequence[Job]) -> WantedRows:
    owners = [job for job in jobs for _ in job.features]
    return WantedRows(rows, lambda row: not owners[row].is_withdrawn)


def hand_over(jobs: Sequence[Job], outcomes: Sequence[Outputs | Exception]) -> None:
    """Hands over what jobs gave to those that still want it."""
    for job, outcome in zip(jobs, outcomes, strict=True):
        if not job.is_withdrawn:
            job.deliver(outcome)


def in_order(batches: Sequence[Sequence[int]], parts: Sequence[Outputs]) -> Outputs:
    """Joins the outputs of batches in the order of their rows."""
    if len(parts) == 1:  # one batch holds the rows in their order
        return parts[0]
    back = np.argsort([index for batch in batches for index in batch])
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}
