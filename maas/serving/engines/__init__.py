"""Engines: they take calls and give chunks. One file, one way of running a model.

`batch.py` gives each call's outputs in one run, or some; `steps.py` generates texts step by step.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeAlias

from maas.runtime.codec import Outputs
from maas.serving.call import Call, Chunk
from maas.serving.engines.small_calls import AnySmallCall

Withdraw: TypeAlias = Callable[[], object]
"""Ends the work of a request that nobody waits for any more."""


class ModelEngine(Protocol):
    """Runs one model for many callers: what every engine can, whatever its model gives."""

    @property
    def summary(self) -> str:
        """How the model runs, for people, in a few words."""

    @property
    def max_rows(self) -> int:
        """The largest number of rows in one call."""

    @property
    def queued_rows(self) -> int:
        """Rows that were admitted and do not run yet: they are read, preprocessed, or wait for their run."""

    def pause(self) -> None:
        """Starts no more runs; calls are admitted and wait."""

    def resume(self) -> None:
        """Starts runs again."""

    async def drain(self) -> None:
        """Admits no more calls, finishes those that were admitted, and frees what the engine holds."""


class Engine(ModelEngine, Protocol):
    """Runs a model that predicts."""

    def submit(self, call: Call) -> AsyncIterator[Chunk]:
        """Admits a call and returns the stream of what the model gives for it.

        Closing the stream, or cancelling the task that reads it, withdraws the call.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or an output is not finite.
            OverloadError: there is no room for the call, or the engine is being drained.
            DeadlineError: the call's deadline has passed.
        """

    def start(self, call: Call, deliver: Callable[[Outputs | Exception], None]) -> Withdraw | None:
        """Admits a call that takes little work, whose outputs or fault `deliver` receives in a later turn of the loop.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for the call, or the engine is being drained.
        """

    def start_small(self, small: AnySmallCall) -> Withdraw | None:
        """Admits a call of one row that its caller has read, if it takes little work; its outcome comes likewise.

        Returns:
            What withdraws the call, or None where it has to be submitted.

        Raises:
            OverloadError: there is no room for it.
        """
