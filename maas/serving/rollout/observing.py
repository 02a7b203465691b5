"""An engine and a deployment in their part of a roll-out: they answer as before, and what comes of it is noted."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields
from functools import cached_property, partial
from types import TracebackType
from typing import Self, TypeAlias

from maas.runtime.codec import Outputs
from maas.serving.call import Call, Chunk
from maas.serving.engines import Engine, Withdraw
from maas.serving.engines.small_calls import AnySmallCall
from maas.serving.repository import PredictingDeployment

Note: TypeAlias = Callable[[Call, Outputs | Exception, float], None]
"""Receives a call, its outputs or its fault, and the seconds that they took. It must not fail."""
ROLE = b"maas-rollout"
"""Header of a request that wants a role, and of a reply that names it."""


class ObservedEngine:
    """An engine whose outcomes are noted, each once it was handed over.

    Args:
        engine: that runs the model.
        note: receives outcomes.
    """

    def __init__(self, engine: Engine, note: Note) -> None:
        self._engine, self._note = engine, note

    @property
    def summary(self) -> str:
        """How the model runs."""
        return self._engine.summary

    @property
    def max_rows(self) -> int:
        """The largest number of rows in one call."""
        return self._engine.max_rows

    @property
    def queued_rows(self) -> int:
        """Rows that were admitted and do not run yet."""
        return self._engine.queued_rows

    def submit(self, call: Call) -> AsyncIterator[Chunk]:
        """Returns the engine's stream."""
        return _NotedStream(self._engine.submit(call), partial(self._note, call))

    def start(self, call: Call, deliver: Callable[[Outputs | Exception], None]) -> Withdraw | None:
        """Starts a call as the engine does."""
        began = time.perf_counter()

        def delivered(outcome: Outputs | Exception) -> None:
            seconds = time.perf_counter() - began
            deliver(outcome)
            self._note(call, outcome, seconds)

        with _Noted(partial(self._note, call), began):
            return self._engine.start(call, delivered)

    def start_small(self, small: AnySmallCall) -> None:
        """Starts nothing: what is noted is the call, which a small one does not have."""

    def pause(self) -> None:
        """Starts no more runs."""
        self._engine.pause()

    def resume(self) -> None:
        """Starts runs again."""
        self._engine.resume()

    async def drain(self) -> None:
        """Finishes what was admitted."""
        await self._engine.drain()


class _Noted:
    """Notes what is raised inside, unless it is the end of a stream or of its caller's patience.

    Args:
        note: receives it.
        began: when the call began, by the clock of `time.perf_counter`.
    """

    __slots__ = ("_began", "_note")

    def __init__(self, note: Callable[[Outputs | Exception, float], None], began: float) -> None:
        self._note, self._began = note, began

    def __enter__(self) -> None:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Notes what was raised."""
        if isinstance(error, Exception) and not isinstance(error, StopAsyncIteration):
            self._note(error, time.perf_counter() - self._began)


class _NotedStream:
    """A stream of chunks; its last one, or its fault, is noted. A stream that is given up is not."""

    __slots__ = ("_began", "_note", "_stream")

    def __init__(self, stream: AsyncIterator[Chunk], note: Callable[[Outputs | Exception, float], None]) -> None:
        self._stream, self._note = stream, note
        self._began = time.perf_counter()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        with _Noted(self._note, self._began):
            chunk = await anext(self._stream)
        if chunk.is_last:
            self._note(chunk.outputs, time.perf_counter() - self._began)
        return chunk


@dataclass(eq=False)
class DeploymentInRole(PredictingDeployment):
    """A deployment whose replies say which part it has in a roll-out.

    Args:
        role: `candidate`, `stable`, or the letter of a version in an A/B test.
    """

    role: str = ""

    @cached_property
    def reply_metadata(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every reply says of who answered, and in which role."""
        return (*super().reply_metadata, (ROLE, self.role.encode()))


def in_role(deployment: PredictingDeployment, role: str, note: Note | None = None) -> DeploymentInRole:
    """Returns a deployment in its part of a roll-out.

    Args:
        deployment: that answers.
        role: its part.
        note: receives outcomes; null where nobody needs them.
    """
    values = {field.name: getattr(deployment, field.name) for field in fields(deployment)}
    if note is not None:
        values["engine"] = ObservedEngine(deployment.engine, note)
    return DeploymentInRole(**values, role=role)
