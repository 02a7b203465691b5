"""Calls of one small row: those that arrived in one turn of the event loop are preprocessed together, and then run.

Where their rows are one array, they are one job. A row that cannot be understood, or that the model fails for, fails
its own call alone.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from maas.runtime.codec import ArrayFeatures, Features, Outputs
from maas.runtime.model import Predictor, not_finite
from maas.serving.call import Row
from maas.serving.costs import Costs
from maas.serving.engines.jobs import Deliver, Job
from maas.serving.engines.outcomes import ModelRun, each_by_itself, outcomes_of
from maas.serving.faults import NotFiniteError

TOGETHER_S = 0.005
"""Estimated time that rows which are preprocessed together take at most; the estimate is of a slow kind of row."""


@dataclass(slots=True, eq=False)
class SmallCall:
    """A call that waits to be preprocessed and run.

    Args:
        rows: its row.
        size_bytes: size of the row as it was sent, in bytes.
        deliver: receives the outputs or the fault once, unless the call is withdrawn.
        is_waiting: whether it is not preprocessed yet.
        is_over: whether it has its outcome, or nobody wants one any more.
    """

    rows: Sequence[Row]
    size_bytes: int
    deliver: Deliver
    is_waiting: bool = True
    is_over: bool = False


class SmallCalls:
    """Calls that wait to be preprocessed, in the order of their arrival.

    Args:
        predictor: the model.
        run: runs it.
        costs: how long preprocessing takes.
        ended: is called for each call that has ended, with how many of its rows will not run.
    """

    def __init__(self, predictor: Predictor, run: ModelRun, costs: Costs, ended: Callable[[int], object]) -> None:
        self._processor, self._batch_size = predictor.processor, predictor.batch_size
        self._run, self._costs, self._ended = run, costs, ended
        self._waiting: deque[SmallCall] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, call: SmallCall) -> None:
        """Adds a call."""
        self._waiting.append(call)

    def withdraw(self, call: SmallCall) -> None:
        """Ends a call that nobody waits for; one that is preprocessed runs all the same."""
        if not call.is_over:
            call.is_over = True
            self._ended(int(call.is_waiting))

    def take(self) -> list[Job]:
        """Returns jobs of the oldest calls, as many as fit into a run and are preprocessed in a short time."""
        calls, waiting, size = list[SmallCall](), self._waiting, 0
        while waiting and len(calls) < self._batch_size:
            size += waiting[0].size_bytes
            if calls and self._costs.preprocess_s(size) > TOGETHER_S:
                break
            call = waiting.popleft()
            if not call.is_over:
                call.is_waiting = False
                calls.append(call)
        return self._jobs(calls) if calls else []

    def _jobs(self, calls: Sequence[SmallCall]) -> list[Job]:
        """Returns the jobs of calls; calls whose row cannot be understood get the fault."""
        found = each_by_itself(self._features, calls)
        if isinstance(found, ArrayFeatures):
            return [self._job(calls, found)]
        jobs = list[Job]()
        for call, features in zip(calls, found, strict=True):
            if isinstance(features, Exception):
                self._end([call], [features], rows=1)
            else:
                jobs.append(self._job([call], [features]))
        return jobs

    def _features(self, calls: Sequence[SmallCall]) -> Sequence[Features]:
        return self._processor.preprocess(rows_together([call.rows for call in calls]))

    def _job(self, calls: Sequence[SmallCall], features: Sequence[Features]) -> Job:
        """Returns the job of calls whose rows are of one bucket."""
        return Job(features, self._processor.bucket(features[0]), partial(self._deliver, calls, features))

    def _deliver(self, calls: Sequence[SmallCall], features: Sequence[Features], outcome: Outputs | Exception) -> None:
        """Hands over what the run of a job gave; where it failed, each of several calls is run by itself."""
        if not isinstance(outcome, Exception):
            self._end(calls, _finite_parts(outcome, len(calls)))
        elif len(calls) == 1:
            self._end(calls, [outcome])
        else:
            for job in [self._job([call], [row]) for call, row in zip(calls, features, strict=True)]:
                job.deliver(*outcomes_of(self._run, [job]))

    def _end(self, calls: Sequence[SmallCall], outcomes: Sequence[Outputs | Exception], rows: int = 0) -> None:
        """Hands over outcomes to those calls that are not over."""
        for call, outcome in zip(calls, outcomes, strict=True):
            if not call.is_over:
                call.is_over = True
                self._ended(rows)
                call.deliver(outcome)


def rows_together(rows: Sequence[Sequence[Row]]) -> Sequence[Row]:
    """Returns the rows of several calls, as one array where all are arrays of equal kind and shape."""
    if len(rows) == 1:
        return rows[0]
    arrays = cast("Sequence[NDArray[np.generic]]", rows)  # an array is read as a sequence of its rows
    if set(map(type, rows)) == {np.ndarray} and len({(one.dtype, one.shape) for one in arrays}) == 1:
        return cast("Sequence[Row]", np.concatenate(arrays))
    return [row for one in rows for row in one]


def _finite_parts(outputs: Outputs, count: int) -> Sequence[Outputs | Exception]:
    """Returns the outputs of each of so many rows; for a row where one is not finite, a `NotFiniteError`."""
    parts: list[Outputs] = [outputs]
    if count > 1:
        parts = [{name: array[row : row + 1] for name, array in outputs.items()} for row in range(count)]
    return parts if not_finite(outputs) is None else list(map(_finite, parts))


def _finite(outputs: Outputs) -> Outputs | Exception:
    fault = not_finite(outputs)
    return outputs if fault is None else NotFiniteError(fault)
