"""Loading a model by its first call, and letting go of it when memory is wanted for another.

A model counts as many bytes as the process grew while it was loaded and measured, at least as many as its files have.
What was used least recently goes first; its calls are finished, and its next call loads it again.
"""

import asyncio
import ctypes
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from maas.errors import DeadlineError, MaasError, OverloadError, one_line
from maas.runtime.codec import Outputs
from maas.runtime.graph import LOADING_ERRORS
from maas.serving.call import Call, Chunk
from maas.serving.engines import Engine, Withdraw
from maas.serving.engines.small_calls import AnySmallCall
from maas.serving.faults import require_rows

log = logging.getLogger("maas.serving")
AGAIN_AFTER_S = 10
"""Seconds after which a model is loaded again that could not be."""
FAILURES: tuple[type[Exception], ...] = (MaasError, MemoryError, *LOADING_ERRORS)
"""What loading raises."""
RESIDENT_PAGES = Path("/proc/self/statm")


class ModelMemory:
    """The memory of the models that are loaded by their first call.

    Args:
        max_bytes: the most bytes of all of them; null for no limit. One that is larger by itself is loaded alone.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.used: dict[LazyEngine, int] = {}
        self._turn = asyncio.Lock()

    async def load(self, engine: "LazyEngine", load: Callable[[], Engine], least_bytes: int) -> Engine:
        """Loads a model away from the event loop, one at a time, once there is room for it.

        Args:
            engine: that wants it.
            load: opens the model.
            least_bytes: size of its files.

        Raises:
            BundleError: it cannot be loaded.
        """
        async with self._turn:
            await self._make_room(least_bytes)
            before = resident_bytes()
            loaded = await asyncio.to_thread(load)
            self.used[engine] = max(least_bytes, resident_bytes() - before)
            await self._make_room(0, but=engine)
            return loaded

    async def _make_room(self, wanted_bytes: int, but: "LazyEngine | None" = None) -> None:
        while self.max_bytes is not None and sum(self.used.values()) + wanted_bytes > self.max_bytes:
            others = [engine for engine in self.used if engine is not but]
            if not others:
                return
            await min(others, key=lambda engine: engine.last_used_s).unload()


class LazyEngine:
    """An engine that exists from its first call on.

    Args:
        name: name of the model.
        load: opens the model; it blocks.
        memory: what loaded models take of it.
        max_queue: largest number of rows that may wait.
        least_bytes: size of the model's files.
    """

    def __init__(
        self, name: str, load: Callable[[], Engine], memory: ModelMemory, max_queue: int, least_bytes: int
    ) -> None:
        self.max_rows = (max_queue + 1) // 2
        self.last_used_s = 0.0
        self._name = name
        self._load = load
        self._memory = memory
        self._max_queue = max_queue
        self._least_bytes = least_bytes
        self._engine: Engine | None = None
        self._loading: asyncio.Task[Engine] | None = None
        self._waiting_rows = self._calls = 0
        self._again_s = 0.0
        self._submitted = asyncio.Event()
        self._submitted.set()
        self._is_paused = self._is_draining = False

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    @property
    def summary(self) -> str:
        """How the model runs, or that it is not loaded yet."""
        return self._engine.summary if self._engine is not None else "loaded by its first request"

    @property
    def queued_rows(self) -> int:
        """Rows that were admitted and do not run yet."""
        return self._waiting_rows + (self._engine.queued_rows if self._engine is not None else 0)

    def submit(self, call: Call) -> AsyncIterator[Chunk]:
        """Returns the stream of what the model gives for a call, once it is loaded.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or an output is not finite.
            OverloadError: there is no room for the call, the model cannot be loaded, or the engine is being drained.
            DeadlineError: the call's deadline has passed.
        """
        self.last_used_s = time.monotonic()
        return self._engine.submit(call) if self._engine is not None else self._submit_loaded(call)

    def start(self, call: Call, deliver: Callable[[Outputs | Exception], None]) -> Withdraw | None:
        """Admits a call that takes little work, if the model is loaded.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            InputError: the row cannot be understood.
            OverloadError: there is no room for the call, or the engine is being drained.
        """
        if self._engine is None:
            return None
        self.last_used_s = time.monotonic()
        return self._engine.start(call, deliver)

    def start_small(self, small: AnySmallCall) -> Withdraw | None:
        """Admits a call of one row likewise, if the model is loaded.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for it.
        """
        if self._engine is None:
            return None
        self.last_used_s = time.monotonic()
        return self._engine.start_small(small)

    async def loaded(self) -> Engine:
        """Returns the engine of the model, which is loaded if need be; calls at one time share one loading.

        Raises:
            OverloadError: it cannot be loaded.
        """
        while self._engine is None:
            if self._loading is None:
                self._loading = asyncio.create_task(self._loaded())
            await asyncio.shield(self._loading)
        return self._engine

    async def unload(self) -> None:
        """Lets go of the model once its calls are finished; the next call loads it again."""
        engine, self._engine = self._engine, None
        self._memory.used.pop(self, None)
        if engine is not None:
            await engine.drain()
            del engine
            give_memory_back()
            log.info("%s was unloaded; its next request loads it again.", self._name)

    def pause(self) -> None:
        """Starts no more runs; calls are admitted and wait."""
        self._is_paused = True
        if self._engine is not None:
            self._engine.pause()

    def resume(self) -> None:
        """Starts runs again."""
        self._is_paused = False
        if self._engine is not None:
            self._engine.resume()

    async def drain(self) -> None:
        """Admits no more calls, finishes those that were admitted, and frees what the engine holds."""
        self._is_draining = True
        if self._loading is not None:
            await asyncio.wait([self._loading])
        await self._submitted.wait()
        engine, self._engine = self._engine, None
        self._memory.used.pop(self, None)
        if engine is not None:
            await engine.drain()

    async def _submit_loaded(self, call: Call) -> AsyncIterator[Chunk]:
        rows = len(call.inputs)
        self._admit(call, rows)
        self._waiting_rows += rows
        self._calls += 1
        self._submitted.clear()
        try:
            async with asyncio.timeout_at(call.deadline_s):
                stream = (await self.loaded()).submit(call)
        except TimeoutError as error:
            raise DeadlineError("The deadline of the request has passed.") from error
        finally:
            self._waiting_rows -= rows
            self._calls -= 1
            if not self._calls:
                self._submitted.set()  # in this turn of the event loop
        async for chunk in stream:
            yield chunk

    def _admit(self, call: Call, rows: int) -> None:
        if self._is_draining:
            raise OverloadError(f"Model {call.model!r} is being replaced. Try again in a second.")
        require_rows(rows, self.max_rows)
        if self._waiting_rows + rows > self._max_queue:
            raise OverloadError(
                f"{self._waiting_rows} rows of at most {self._max_queue} wait for {self._name} to be loaded; {rows} "
                "more do not fit. Try again in a second."
            )

    async def _loaded(self) -> Engine:
        try:
            if time.monotonic() < self._again_s:
                raise self._fault()
            engine = await self._memory.load(self, self._load, self._least_bytes)
            if self._is_paused:
                engine.pause()
            self._engine = engine
        except FAILURES as error:
            if isinstance(error, OverloadError):
                raise
            self._again_s = time.monotonic() + AGAIN_AFTER_S
            log.warning("%s cannot be loaded: %s.", self._name, one_line(error))
            raise self._fault() from error
        else:
            log.info("%s was loaded by its first request: %s.", self._name, engine.summary)
            return engine
        finally:
            self._loading = None

    def _fault(self) -> OverloadError:
        return OverloadError(
            f"Model {self._name!r} cannot be loaded; the server's log says why. Try again in {AGAIN_AFTER_S} seconds.",
            retry_after_s=AGAIN_AFTER_S,
        )


def resident_bytes() -> int:
    """Returns the process's memory; 0 where the system does not show."""
    try:
        return int(RESIDENT_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def give_memory_back() -> None:
    """Gives freed memory back to the system where its C library keeps it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another C library than GNU's
        return
