"""How the processes that serve the same models reach each other: one of them broadcasts, each of them answers.

A part of the server whose state must be the same in all processes registers a handler and broadcasts its changes:

    peers.handle("rollouts", self._take)                               # in every process, while it is assembled
    replies = await peers.broadcast("rollouts", state, is_state=True)  # in the process that got the request
    require_all(replies)                                               # raises what some process could not do

`Alone` is the same for a server of one process: its broadcast calls its own handler. So a part is written once. A
handler receives the content that was broadcast, and runs on the event loop of its process, the broadcasting one
included; broadcasts that change something run one after the other, in the same order everywhere. A handler must not
broadcast a change itself: it would wait for itself.

A process that is started later, in the place of one that died, is given the models as they are served, and the last
content of each kind that was broadcast with `is_state=True`: its handler takes that before the process listens.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from maas.errors import MaasError

Handler: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Receives what was broadcast, and returns the process's reply."""


class PeerReply(NamedTuple):
    """What one process replied to a broadcast.

    Args:
        worker: number of the process, from 1.
        body: what its handler returned.
        error: what its handler raised.
    """

    worker: int
    body: bytes = b""
    error: MaasError | None = None


class Peers(Protocol):
    """The processes that serve the same models, this one among them."""

    def handle(self, kind: str, handler: Handler) -> None:
        """Registers what answers broadcasts of a kind in this process."""

    async def broadcast(
        self, kind: str, body: bytes = b"", *, is_change: bool = True, is_state: bool = False
    ) -> list[PeerReply]:
        """Lets every process handle something, and returns their replies once all have done it.

        A process that dies meanwhile is left out.

        Args:
            kind: of the handler.
            body: what handlers receive.
            is_change: whether it changes something, and so waits for changes before it; else it only reads.
            is_state: whether the body is all that a process started later has to know of this kind.
        """


class Alone:
    """A server of one process: it is its only peer."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def handle(self, kind: str, handler: Handler) -> None:
        """Registers what answers broadcasts of a kind."""
        self._handlers[kind] = handler

    async def broadcast(
        self, kind: str, body: bytes = b"", *, is_change: bool = True, is_state: bool = False
    ) -> list[PeerReply]:
        """Lets this process handle something, and returns its reply."""
        try:
            return [PeerReply(1, await self._handlers[kind](body))]
        except MaasError as error:
            return [PeerReply(1, error=error)]


def require_all(replies: Sequence[PeerReply]) -> None:
    """Raises what processes raised that could not do something.

    Raises:
        MaasError: of the class of the first one, with the number of processes that failed where others did not.
    """
    errors = [reply.error for reply in replies if reply.error is not None]
    if not errors:
        return
    if len(errors) == len(replies):
        raise errors[0]
    raise _partial(errors[0], len(errors), len(replies))


def _partial(error: MaasError, failed: int, count: int) -> MaasError:
    return type(error)(f"{failed} of {count} processes failed, and the others did it: {error} Send the request again.")
