"""Where work runs: on the event loop if it is short, in a thread if it is not.

How long work takes is measured once, when a model is loaded, and estimated from its size afterwards.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")
INLINE_BELOW_S = 0.0004
"""Shorter work costs less on the event loop than the way to a thread and back."""
BESIDE_ABOVE_S = 0.001
"""Of one row: a model whose runs are shorter is faster by larger batches than by several of them at one time."""


@dataclass(slots=True, eq=False)
class _Work(Generic[Result]):
    """Steps of one caller, what they gave so far, and the future that receives it all."""

    steps: Iterator[Result]
    done: list[Result]
    results: "asyncio.Future[list[Result]]"
    is_cancelled: bool = False


class Lane:
    """One thread that takes turns between callers: a turn is one step of one caller's work.

    So a caller with a few steps does not wait for one with many, and work whose caller left ends after its step.

    Args:
        name: name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turns: queue.SimpleQueue[_Work[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, steps: Iterator[Result]) -> list[Result]:
        """Returns what all steps gave, in their order; a step that raises ends the work.

        Cancelling it closes `steps` before their next turn.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._take_turns, name=self._name, daemon=True)
            self._thread.start()
        work = _Work(steps, list[Result](), asyncio.get_running_loop().create_future())
        self._turns.put(work)
        try:
            return await work.results
        finally:
            work.is_cancelled = True

    def close(self, within_s: float | None = None) -> None:
        """Ends the thread once the steps before are done.

        Args:
            within_s: seconds after which a step that does not end is left behind; null waits for it.
        """
        if self._thread is not None:
            self._turns.put(None)
            self._thread.join(within_s)
            self._thread = None

    def _take_turns(self) -> None:
        while (work := self._turns.get()) is not None:
            if _stepped(work):
                self._turns.put(work)
            del work  # what it holds must not live until the next turn


class ThreadExecutor:
    """Threads for the runs of one model; each starts when it is needed.

    Args:
        name: their names begin with it.
        count: the most of them.
    """

    def __init__(self, name: str, count: int = 1) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Returns what a function gives, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


class Cores:
    """The processors that runs of all models share: further runs of a model begin only where some are left.

    Args:
        count: number of them; null for all that this process may use.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or available_cores()
        self._busy = 0
        self._waiting: set[Callable[[], None]] = set()

    def has(self, threads: int, otherwise: Callable[[], None]) -> bool:
        """Whether so many are left.

        Args:
            threads: of a run.
            otherwise: called once when more are left, if they are not.
        """
        is_room = self._busy + threads <= self.count
        if not is_room:
            self._waiting.add(otherwise)
        return is_room

    @property
    def is_overfull(self) -> bool:
        """Whether runs take more than there are: the first run of a model waits for nobody."""
        return self._busy > self.count

    def take(self, threads: int) -> None:
        """Takes some for a run, whether they are left or not."""
        self._busy += threads

    def leave(self, threads: int) -> None:
        """Leaves them to other runs."""
        self._busy -= threads
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            one()


def available_cores() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stepped(work: _Work[Result]) -> bool:
    """Does one step of a work; returns whether another one follows."""
    if work.is_cancelled:
        close = getattr(work.steps, "close", None)
        if close is not None:
            close()
        return False
    try:
        work.done.append(next(work.steps))
    except StopIteration:
        _deliver(work, None)
    except BaseException as error:  # noqa: BLE001  whatever it is, its caller waits for it
        _deliver(work, error)
    else:
        return True
    return False


def _deliver(work: _Work[Result], error: BaseException | None) -> None:
    def finish() -> None:
        if work.results.done():
            return
        if error is None:
            work.results.set_result(work.done)
        else:
            work.results.set_exception(error)

    loop = work.results.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(finish)
