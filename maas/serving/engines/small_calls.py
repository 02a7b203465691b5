"""Calls of one small row: those that arrived in one turn of the event loop are preprocessed together, and then run.

Where their rows are one array, they are one job. A row that cannot be understood, or that the model fails for, fails
its own call alone.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.runtime.codec import ArrayFeatures, Features, Outputs
from maas.runtime.model import Predictor, not_finite
from maas.serving.call import Row
from maas.serving.costs import Costs
from maas.serving.engines.jobs import Job
from maas.serving.engines.outcomes import ModelRun, each_by_itself, outcomes_of
from maas.serving.faults import NotFiniteError

TOGETHER_S = 0.005
"""Estimated time that rows which are preprocessed together take at most; the estimate is of a slow kind of row."""
CallRows: TypeAlias = Sequence[Row] | NDArray[np.generic]
Finished = TypeVar("Finished")


class SmallCall(msgspec.Struct, Generic[Finished], eq=False):
    """A call that waits to be preprocessed and run.

    Args:
        rows: its row.
        size_bytes: size of the row as it was sent, in bytes.
        finish: makes of the outputs of some calls, (N, …) each, what each of them is given; calls that have the same
            one are finished together.
        deliver: receives that, or the fault, once, unless the call is withdrawn.
        is_alone: whether nobody else can send a call in this turn of the loop, so that it need not wait for others.
        is_waiting: whether it is not preprocessed yet.
        is_over: whether it has its outcome, or nobody wants one any more.
    """

    rows: CallRows
    size_bytes: int
    finish: Callable[[Outputs], Sequence[Finished]]
    deliver: Callable[[Finished | Exception], None]
    is_alone: bool = False
    is_waiting: bool = True
    is_over: bool = False


AnySmallCall: TypeAlias = SmallCall[Any]
"""What a call finishes, it is given."""
_finish_of = attrgetter("finish")
_ONLY = range(1)


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
        self._run, self._ended = run, ended
        self._most_bytes = costs.bytes_preprocessed_in(TOGETHER_S)
        self._waiting: deque[AnySmallCall] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, call: AnySmallCall) -> None:
        """Adds a call."""
        self._waiting.append(call)

    def withdraw(self, call: AnySmallCall) -> None:
        """Ends a call that nobody waits for; one that is preprocessed runs all the same."""
        if not call.is_over:
            call.is_over = True
            self._ended(int(call.is_waiting))

    def take(self) -> list[Job]:
        """Returns jobs of the oldest calls, as many as fit into a run and are preprocessed in a short time."""
        calls, waiting, size = list[AnySmallCall](), self._waiting, 0
        while waiting and len(calls) < self._batch_size:
            size += waiting[0].size_bytes
            if calls and size > self._most_bytes:
                break
            call = waiting.popleft()
            if not call.is_over:
                call.is_waiting = False
                calls.append(call)
        return self._jobs(calls) if calls else []

    def run_alone(self, started: Callable[[int], object]) -> bool:
        """Runs the one call that waits, without a job; returns whether no more than that one waited.

        Args:
            started: is called with the number of rows whose run begins.
        """
        if len(self._waiting) != 1:
            return not self._waiting
        call = self._waiting.popleft()
        if call.is_over:
            return True
        call.is_waiting = False
        features = each_by_itself(self._features, [call])
        if not isinstance(features, ArrayFeatures) and isinstance(features[0], Exception):
            self._end_one(call, features[0], 1)
            return True
        started(1)
        (outcome,) = each_by_itself(partial(self._run_and_finish, call), cast("Sequence[Features]", features))
        self._end_one(call, outcome, 0)
        return True

    def _run_and_finish(self, call: AnySmallCall, features: Sequence[Features]) -> Sequence[object]:
        """Returns what is made of the outputs for the row of a call."""
        return _finished(call.finish, self._run(features), 1, _ONLY)

    def _end_one(self, call: AnySmallCall, outcome: object, rows: int) -> None:
        """Hands over an outcome to a call that is not over.

        Args:
            call: that waits for it.
            outcome: of it.
            rows: of it that will not run.
        """
        if not call.is_over:
            call.is_over = True
            self._ended(rows)
            call.deliver(outcome)

    def _jobs(self, calls: Sequence[AnySmallCall]) -> list[Job]:
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

    def _features(self, calls: Sequence[AnySmallCall]) -> Sequence[Features]:
        rows = rows_together([call.rows for call in calls])
        return self._processor.preprocess(cast("Sequence[Row]", rows))  # an array is read as a sequence of its rows

    def _job(self, calls: Sequence[AnySmallCall], features: Sequence[Features]) -> Job:
        """Returns the job of calls whose rows are of one bucket."""
        bucket = self._processor.bucket(features[0])
        return Job(features, bucket, len(features), partial(self._deliver, calls, features))

    def _deliver(
        self, calls: Sequence[AnySmallCall], features: Sequence[Features], outcome: Outputs | Exception
    ) -> None:
        """Hands over what the run of a job gave; where it failed, each of several calls is run by itself."""
        if not isinstance(outcome, Exception):
            self._finish(calls, outcome)
        elif len(calls) == 1:
            self._end(calls, [outcome])
        else:
            for job in [self._job([call], [row]) for call, row in zip(calls, features, strict=True)]:
                job.deliver(*outcomes_of(self._run, [job]))

    def _finish(self, calls: Sequence[AnySmallCall], outputs: Outputs) -> None:
        """Hands over what is made of outputs; an outcome that cannot be made fails its own call."""
        start = 0
        for finish, some in groupby(calls, _finish_of):
            together = list(some)
            numbers = range(start, start + len(together))
            self._end(together, each_by_itself(partial(_finished, finish, outputs, len(calls)), numbers))
            start = numbers.stop

    def _end(self, calls: Sequence[AnySmallCall], outcomes: Sequence[object], rows: int = 0) -> None:
        """Hands over outcomes to those calls that are not over."""
        for call, outcome in zip(calls, outcomes, strict=True):
            self._end_one(call, outcome, rows)


def rows_together(rows: Sequence[CallRows]) -> CallRows:
    """Returns the rows of several calls, as one array where all are arrays of equal kind and shape."""
    first = rows[0]
    if len(rows) == 1:
        return first
    if not isinstance(first, np.ndarray):
        return list(chain.from_iterable(rows))
    arrays: list[NDArray[np.generic]] = []
    kind, shape = first.dtype, first.shape
    for one in rows:
        if not isinstance(one, np.ndarray) or one.dtype != kind or one.shape != shape:
            return list(chain.from_iterable(rows))
        arrays.append(one)
    return np.concatenate(arrays)


def outputs_by_row(outputs: Outputs) -> Sequence[Outputs]:
    """Returns the outputs of each row, (1, …) each."""
    rows = max(map(len, outputs.values()))
    if rows == 1:
        return [outputs]
    return [{name: array[row : row + 1] for name, array in outputs.items()} for row in range(rows)]


def _finished(
    finish: Callable[[Outputs], Sequence[object]], outputs: Outputs, rows: int, numbers: Sequence[int]
) -> Sequence[object]:
    """Returns what is made of some rows of outputs.

    Args:
        finish: makes it.
        outputs: of a run, (N, …) each.
        rows: N.
        numbers: of the rows, which follow each other.

    Raises:
        NotFiniteError: one of their outputs is not finite.
        RuntimeError: it is more or less than one thing for each row.
    """
    if len(numbers) < rows:
        outputs = {name: array[numbers[0] : numbers[-1] + 1] for name, array in outputs.items()}
    if fault := not_finite(outputs):
        raise NotFiniteError(fault)
    found = finish(outputs)
    if len(found) != len(numbers):
        raise RuntimeError(f"{len(found)} replies were made of the outputs for {len(numbers)} rows.")
    return found
