"""How a reply reaches a transport that waits with a function: handed over at once, or by a task that ends with it."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVarTuple

from maas.serving.engines import Withdraw
from maas.serving.executors import Result
from maas.serving.protocols.operations import AnyReply

Done: TypeAlias = Callable[[AnyReply | BaseException], None]
"""Receives the reply to a request, or the fault."""
Arguments = TypeVarTuple("Arguments")


def attempted(done: Done, work: Callable[[*Arguments], Result], *args: *Arguments) -> Result | None:
    """Returns what some work gives; a fault of it, whatever it is, is handed over, as its caller waits for it.

    Args:
        done: receives the fault.
        work: gives a result.
        args: of the work.
    """
    try:
        return work(*args)
    except Exception as error:  # noqa: BLE001
        done(error)
        return None


def start_task(work: Coroutine[Any, Any, AnyReply], done: Done) -> Withdraw:
    """Starts a task that hands over its reply or its fault, and returns what cancels it.

    Args:
        work: gives the reply.
        done: receives it, unless the task is cancelled.
    """
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(partial(_hand_over, done))
    return task.cancel


def nothing() -> None:
    """Withdraws nothing: the request was answered at once."""


def _hand_over(done: Done, task: "asyncio.Task[AnyReply]") -> None:
    if not task.cancelled():
        error = task.exception()
        done(task.result() if error is None else error)
