"""How many rows may wait for a model where they are to wait no longer than some seconds: as many as run in that time.

Runs take longer where rows are longer, or where others use the processors; so the limit follows the latest runs. A call
that comes while nothing waits is admitted whatever the limit: else one of many rows never would be.
"""

import time
from collections.abc import Sequence

from maas.runtime.codec import Features, Outputs
from maas.serving.costs import Costs
from maas.serving.engines.jobs import JobQueue
from maas.serving.engines.outcomes import ModelRun

LATEST_WEIGHT = 0.1
"""Of the latest run in the moving average."""


class WaitLimit:
    """Keeps the limit of a queue: seconds over the moving average of the seconds that a row takes.

    Args:
        max_wait_s: time that rows may wait, in seconds.
        queue: its `max_waiting_rows` at the beginning is never exceeded, and a run's rows may always wait.
        costs: how long runs took when the model was loaded.
    """

    def __init__(self, max_wait_s: float, queue: JobQueue, costs: Costs) -> None:
        self._max_wait_s, self._queue, self._most = max_wait_s, queue, queue.max_waiting_rows
        self._s_per_row = costs.longest_run_s / costs.rows
        self._set()

    def timed(self, run: ModelRun) -> ModelRun:
        """Returns a way to run the model that times its runs."""

        def timed_run(features: Sequence[Features]) -> Outputs:
            start = time.perf_counter()
            outputs = run(features)
            self.note(len(features), time.perf_counter() - start)
            return outputs

        return timed_run

    def note(self, rows: int, seconds: float) -> None:
        """Takes how long a run took; one of few rows says little of how long these take where many wait.

        Args:
            rows: of the run.
            seconds: that it took.
        """
        if 2 * rows >= self._queue.batch_size:
            self._s_per_row += LATEST_WEIGHT * (seconds / rows - self._s_per_row)
            self._set()

    def _set(self) -> None:
        fitting = self._max_wait_s / self._s_per_row if self._s_per_row > 0 else self._most
        self._queue.max_waiting_rows = min(self._most, max(self._queue.batch_size, int(min(self._most, fitting))))
