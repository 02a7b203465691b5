"""A worker's end of the control channel: a thread receives, so that requests wait for nothing of it."""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import BinaryIO

import msgspec

from maas.errors import MaasError, OverloadError, ProcessError
from maas.serving.peers import Handler, PeerReply
from maas.serving.workers.messages import (
    CONTROL_LENGTH,
    ControlFrame,
    ControlMessage,
    ControlReply,
    decoded_frame,
    encoded_frame,
    error_of,
    reply_of_fault,
)
from maas.serving.workers.records import BROADCAST, Broadcast, BroadcastReply

log = logging.getLogger("maas.serving")
_REPLIES = msgspec.msgpack.Decoder(list[BroadcastReply])


class WorkerChannel:
    """The channel to the supervisor, by which the other workers are reached.

    Until `attach` is called, the end of the supervisor ends this process at once: it serves nothing yet.

    Args:
        connection: one end of a pair of sockets.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._source = connection, connection.makefile("rb")
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[int, Future[ControlReply]] = {}
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed: Callable[[], object] = partial(os._exit, 0)
        self._handling: set[asyncio.Future[bytes]] = set()
        self._is_closed = False

    def first_message(self) -> ControlMessage:
        """Returns what the supervisor sends first, and receives all else in a thread.

        Raises:
            ProcessError: the supervisor has ended, or sends something else.
        """
        frame = read_frame(self._source)
        if not isinstance(frame, ControlMessage):
            raise ProcessError("The supervisor has ended. Workers are started by python -m maas.serve workers=N.")
        threading.Thread(target=self._receive, name="control", daemon=True).start()
        return frame

    def attach(self, closed: Callable[[], object]) -> None:
        """Lets handlers run on the running event loop.

        Args:
            closed: is called on the loop once the supervisor wants this process to end, or has ended.
        """
        self._loop = asyncio.get_running_loop()
        self._closed = partial(self._loop.call_soon_threadsafe, closed)

    def handle(self, kind: str, handler: Handler) -> None:
        """Registers what answers broadcasts of a kind in this process."""
        self._handlers[kind] = handler

    async def broadcast(
        self, kind: str, body: bytes = b"", *, is_change: bool = True, is_state: bool = False
    ) -> list[PeerReply]:
        """Lets every worker handle something, and returns their replies once all have done it.

        Raises:
            OverloadError: this process is stopping, or the supervisor has ended.
        """
        sent = self.request(BROADCAST, msgspec.msgpack.encode(Broadcast(kind, body, is_change, is_state)))
        try:
            replies = _REPLIES.decode((await asyncio.wrap_future(sent)).body)
        except ProcessError as error:
            raise OverloadError("The server is stopping. Send requests to another one.") from error
        return [PeerReply(one.worker, one.body, error_of(one.fault, one.fault_kind)) for one in replies]

    async def take_kept(self, kept: Mapping[str, bytes]) -> None:
        """Lets this process handle what was broadcast before it was started, by kind."""
        for kind, body in kept.items():
            if kind in self._handlers:
                await self._handlers[kind](body)

    def request(self, kind: str, body: bytes) -> "Future[ControlReply]":
        """Sends a message to the supervisor; any thread may wait for the reply."""
        number, reply = next(self._numbers), Future[ControlReply]()
        self._waiting[number] = reply
        self.send(ControlMessage(number, kind, body))
        if self._is_closed:
            self._forget_all()
        return reply

    def send(self, frame: ControlFrame) -> None:
        """Sends a message or a reply; a supervisor that has ended gets nothing."""
        try:
            with self._sending:
                self._connection.sendall(encoded_frame(frame))
        except OSError:
            self._forget_all()

    def _receive(self) -> None:
        with self._source:
            while (frame := read_frame(self._source)) is not None:
                if isinstance(frame, ControlReply):
                    self._take_reply(frame)
                elif self._loop is not None:
                    self._loop.call_soon_threadsafe(self._start_handling, frame)
        self._is_closed = True
        self._forget_all()
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._closed()

    def _take_reply(self, reply: ControlReply) -> None:
        waiting = self._waiting.pop(reply.number, None)
        if waiting is None or not waiting.set_running_or_notify_cancel():
            return
        if reply.error is None:
            waiting.set_result(reply)
        else:
            waiting.set_exception(reply.error)

    def _start_handling(self, message: ControlMessage) -> None:
        handler = self._handlers.get(message.kind, _unknown)
        task = asyncio.ensure_future(handler(message.body))
        self._handling.add(task)
        task.add_done_callback(partial(self._handled, message))

    def _handled(self, message: ControlMessage, task: "asyncio.Future[bytes]") -> None:
        self._handling.discard(task)
        if task.cancelled():
            self.send(ControlReply(message.number, fault="The worker is stopping.", fault_kind="ProcessError"))
        elif (error := task.exception()) is not None:
            if not isinstance(error, MaasError):
                log.error("A message of kind %s failed.", message.kind, exc_info=error)
            self.send(reply_of_fault(message.number, error))
        else:
            self.send(ControlReply(message.number, task.result()))

    def _forget_all(self) -> None:
        for number in tuple(self._waiting):
            waiting = self._waiting.pop(number, None)
            if waiting is not None and waiting.set_running_or_notify_cancel():
                waiting.set_exception(ProcessError("The supervisor of this worker has ended."))


def read_frame(source: BinaryIO) -> ControlFrame | None:
    """Returns what is received next; None once the other side has closed the channel."""
    try:
        length = source.read(CONTROL_LENGTH.size)
        if len(length) < CONTROL_LENGTH.size:
            return None
        (size,) = CONTROL_LENGTH.unpack(length)
        content = source.read(size)
    except OSError:
        return None
    return decoded_frame(content) if len(content) == size else None


async def _unknown(body: bytes) -> bytes:
    """Refuses a message that nothing in this process handles.

    Raises:
        ProcessError: always.
    """
    raise ProcessError(f"A worker handles no such message ({len(body)} bytes). Start all processes from one version.")
