"""What a caller wants beside its prediction: to have it within a time, and before or after others.

    x-request-timeout-ms: 250        the reply is wanted within 250 ms after the request has arrived whole
    x-request-priority: high         high, normal or low

What waits longer than it is wanted is dropped: its rows leave the queue, and reading ends after the rows that are being
read. A run that has begun is finished.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from maas.errors import DeadlineError, InputError, shortened_value
from maas.serving.call import HIGH, LOW, NORMAL, Call
from maas.serving.engines import Withdraw
from maas.serving.handing_over import Done
from maas.serving.protocols.operations import AnyReply, Request

TIMEOUT, PRIORITY = b"x-request-timeout-ms", b"x-request-priority"
LONGEST_TIMEOUT_MS = 24 * 3600 * 1000
PRIORITIES = {b"high": HIGH, b"normal": NORMAL, b"low": LOW}
AnyCall = TypeVar("AnyCall", bound=Call)


def timeout_s(value: bytes) -> float:
    """Returns the time within which a reply is wanted, in seconds.

    Args:
        value: of the header.

    Raises:
        InputError: it is none.
    """
    if not (value.isdigit() and len(value) < 10 and 1 <= int(value) <= LONGEST_TIMEOUT_MS):
        raise InputError(
            f"The header x-request-timeout-ms is {shortened_value(value.decode('latin-1'))}; it is a whole number of "
            f"milliseconds from 1 to {LONGEST_TIMEOUT_MS}."
        )
    return int(value) / 1000


def priority_of(value: bytes) -> int:
    """Returns the priority of a call.

    Args:
        value: of the header.

    Raises:
        InputError: it is none.
    """
    found = PRIORITIES.get(value.lower())
    if found is None:
        raise InputError(
            f"The header x-request-priority is {shortened_value(value.decode('latin-1'))}; it is high, normal or low."
        )
    return found


def with_priority(call: AnyCall, request: Request) -> AnyCall:
    """Returns a call with the priority that its request's header gives it, unless the body gives one.

    Raises:
        InputError: the header gives none.
    """
    if not request.priority or call.priority:
        return call
    return msgspec.structs.replace(call, priority=priority_of(request.priority))


def passed_deadline() -> DeadlineError:
    """Returns the fault of a request whose reply was not there in time."""
    return DeadlineError("The deadline of the request has passed. Send it again where there is less to do.")


class RequestInTime:
    """A request whose reply is wanted within a time.

    Args:
        value: of the header.
        done: receives the reply or the fault, once.

    Raises:
        InputError: the value is no time.
    """

    def __init__(self, value: bytes, done: Done) -> None:
        self._done = done
        self._is_over = False
        self._withdraw: Withdraw | None = None
        self._timer = asyncio.get_running_loop().call_later(timeout_s(value), self._expire)

    def begin(self, begin: Callable[[Done], Withdraw]) -> Withdraw:
        """Begins the request, and returns what withdraws it.

        Args:
            begin: does so, with what receives the reply.
        """
        self._withdraw = begin(self._finish)
        return self.withdraw

    def withdraw(self) -> None:
        """Ends the work, as nobody waits for it."""
        self._is_over = True
        self._timer.cancel()
        if self._withdraw is not None:
            self._withdraw()

    def _finish(self, outcome: AnyReply | BaseException) -> None:
        if not self._is_over:
            self._is_over = True
            self._timer.cancel()
            self._done(outcome)

    def _expire(self) -> None:
        if not self._is_over:
            self.withdraw()
            self._done(passed_deadline())
