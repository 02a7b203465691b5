"""One request and its reply, sent again where that is safe, and what a reply that is no success means.

It knows no HTTP library: a driver sends each request that is yielded, and waits for each pause.
"""

import email.utils
import math
import random
import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Generic, TypeAlias, TypeVar

import msgspec

from maas.errors import DeadlineError, InputError, MaasError, OverloadError, ServerError

BUSY = frozenset({429, 503})
"""Statuses of a server that did nothing for the request."""
LONGEST_LINE = 1000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
_T = TypeVar("_T")


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be sent.

    Args:
        method: of HTTP.
        path: below the server's URL, beginning with a slash.
        body: its bytes.
        media_type: type of the body.
        headers: beside its type and length.
        deadline_s: time on `time.monotonic` after which no reply is wanted, in seconds.
    """

    method: str = "POST"
    path: str
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}
    deadline_s: float

    @property
    def remaining_s(self) -> float:
        """The time until the deadline.

        Raises:
            DeadlineError: it has passed.
        """
        left = self.deadline_s - time.monotonic()
        if left <= 0:
            raise DeadlineError(f"No reply to {self.method} {self.path} came in time. Allow more with timeout_s=….")
        return left


class Pause(msgspec.Struct, frozen=True):
    """Time that passes before the next request.

    Args:
        seconds: how long.
    """

    seconds: float


class Incoming(msgspec.Struct, frozen=True):
    """A reply as it came.

    Args:
        status: of HTTP.
        headers: by name in lower case.
        body: its bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReplyError(ServerError):
    """No whole reply came.

    Args:
        message: what was tried, and what happened.
        is_transient: whether the same request may be answered a moment later.
    """

    def __init__(self, message: str, *, is_transient: bool) -> None:
        super().__init__(message)
        self.is_transient = is_transient


Steps: TypeAlias = Generator[Outgoing | Pause, Incoming, _T]
"""What a driver does for a call: it sends requests, whose replies it sends in, and waits for pauses."""


class Progress(Generic[_T]):
    """How far the steps of a call are: what is to be done next, or what they gave in the end.

    Args:
        steps: of the call; they begin at once.
    """

    result: _T

    def __init__(self, steps: Steps[_T]) -> None:
        self._steps = steps
        self.step: Outgoing | Pause | None = None
        self._advance(partial(next, steps))

    def reply(self, reply: Incoming) -> None:
        """Resumes with a reply."""
        self._advance(lambda: self._steps.send(reply))

    def resume(self) -> None:
        """Resumes after a pause."""
        self._advance(partial(next, self._steps))

    def fail(self, error: MaasError) -> None:
        """Resumes after a request that has no reply.

        Raises:
            MaasError: the steps end with it.
        """
        self._advance(lambda: self._steps.throw(error))

    def _advance(self, move: Callable[[], Outgoing | Pause]) -> None:
        try:
            self.step = move()
        except StopIteration as end:
            self.step, self.result = None, end.value


def exchange(request: Outgoing, retries: int) -> Steps[Incoming]:
    """Yields a request until it is answered by a server that is not busy, and returns the reply.

    Predictions change nothing, so a request may be sent again after a connection was refused or broke off. Pauses grow
    from attempt to attempt by a random part, and are never shorter than the server's Retry-After.

    Args:
        request: what to send.
        retries: largest number of attempts after the first.

    Raises:
        MaasError: no attempt was answered; the last one's fault.
    """
    attempt = 0
    while True:
        try:
            reply = yield request
        except NoReplyError as error:
            fault: MaasError = error
            may_repeat, least_s = error.is_transient, 0.0
        else:
            if reply.status not in BUSY:
                return reply
            fault, may_repeat, least_s = fault_of(reply), True, retry_after_s(reply)
        pause_s = least_s + random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311
        if not may_repeat or attempt >= retries or time.monotonic() + pause_s >= request.deadline_s:
            raise fault
        yield Pause(pause_s)
        attempt += 1


def retry_after_s(reply: Incoming) -> float:
    """Returns the delay that a reply demands, in seconds; 0 where it demands none."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def fault_of(reply: Incoming) -> MaasError:
    """Returns the error that a reply stands for: the server's own message, where it has one."""
    message = error_message(reply.body)
    if reply.status in BUSY:
        default = f"The server is busy (status {reply.status}). Try again later."
        return OverloadError(message or default, retry_after_s=max(1, math.ceil(retry_after_s(reply))))
    if reply.status == 504:
        return DeadlineError(message or "The server's deadline has passed (status 504). Send fewer rows at a time.")
    if 400 <= reply.status < 500:
        return InputError(message or f"The server refuses the request with status {reply.status}.")
    if 300 <= reply.status < 400:
        return ServerError(f"The server redirects to {reply.headers.get('location', 'another address')}; use that URL.")
    return ServerError(message or f"The server failed with status {reply.status}.")


def error_message(body: bytes) -> str:
    """Returns the message of an error's body, as a line; empty where it has none."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return " ".join(error.split())[:LONGEST_LINE] if isinstance(error, str) else ""
