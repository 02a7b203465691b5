"""Calls of one small row: those that arrived in one turn of the event loop are preprocessed together, as they are run.

A row that cannot be understood fails its own call alone.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from maas.runtime.codec import Codec, Features
from maas.serving.call import Row
from maas.serving.costs import Costs
from maas.serving.engines.jobs import Job
from maas.serving.engines.outcomes import each_by_itself

TOGETHER_S = 0.005
"""Estimated time that rows which are preprocessed together take at most; the estimate is of a slow kind of row."""


class SmallCall(NamedTuple):
    """A call that waits to be preprocessed.

    Args:
        rows: its row.
        size_bytes: size of the row as it was sent, in bytes.
        job: gets the features.
    """

    rows: Sequence[Row]
    size_bytes: int
    job: Job


class SmallCalls:
    """Calls that wait to be preprocessed, in the order of their arrival.

    Args:
        processor: of the model.
        costs: how long preprocessing takes.
        batch_size: largest number of rows in a run.
    """

    def __init__(self, processor: Codec, costs: Costs, batch_size: int) -> None:
        self._processor, self._costs, self._batch_size = processor, costs, batch_size
        self._waiting: deque[SmallCall] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, call: SmallCall) -> None:
        """Adds a call."""
        self._waiting.append(call)

    def take(self) -> list[Job]:
        """Returns jobs of the oldest calls, as many as fit into a run and are preprocessed in a short time."""
        calls, waiting, size = list[SmallCall](), self._waiting, 0
        while waiting and len(calls) < self._batch_size:
            size += waiting[0].size_bytes
            if calls and self._costs.preprocess_s(size) > TOGETHER_S:
                break
            call = waiting.popleft()
            if not call.job.is_withdrawn:
                calls.append(call)
        return self._preprocessed(calls) if calls else []

    def _preprocessed(self, calls: Sequence[SmallCall]) -> list[Job]:
        """Returns the jobs of calls with their features; calls whose row cannot be understood get the fault."""
        jobs = list[Job]()
        for call, features in zip(calls, each_by_itself(self._features, calls), strict=True):
            if isinstance(features, Exception):
                call.job.deliver(features)
            else:
                call.job.features, call.job.bucket = [features], self._processor.bucket(features)
                jobs.append(call.job)
        return jobs

    def _features(self, calls: Sequence[SmallCall]) -> Sequence[Features]:
        return self._processor.preprocess(rows_together([call.rows for call in calls]))


def rows_together(rows: Sequence[Sequence[Row]]) -> Sequence[Row]:
    """Returns the rows of several calls, as one array where all are arrays of equal kind and shape."""
    arrays = [one for one in map(_array, rows) if one is not None]
    if len(arrays) == len(rows) and len({(one.dtype, one.shape) for one in arrays}) == 1:
        return cast("Sequence[Row]", np.concatenate(arrays))  # it is read as a sequence of its rows
    return [row for one in rows for row in one]


def _array(rows: object) -> NDArray[np.generic] | None:
    return rows if isinstance(rows, np.ndarray) else None
