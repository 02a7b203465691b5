"""A worker as the supervisor sees it: its process, and the supervisor's end of the control channel."""

import asyncio
import itertools
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Self, TypeAlias

from maas.errors import MaasError, ProcessError
from maas.serving.workers.messages import (
    CONTROL_LENGTH,
    ControlFrame,
    ControlMessage,
    ControlReply,
    decoded_frame,
    encoded_frame,
    reply_of_fault,
)

log = logging.getLogger("maas.serving")
RespondToWorker: TypeAlias = Callable[["WorkerProcess", ControlMessage], Awaitable[bytes]]
"""Returns the body of the reply to a worker's message."""


class WorkerProcess:
    """One worker.

    Args:
        number: of the worker, from 1.
        process: that it is.
        channel: to it.
        respond: replies to its messages.
    """

    def __init__(
        self,
        number: int,
        process: "subprocess.Popen[bytes]",
        channel: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        respond: RespondToWorker,
    ) -> None:
        self.number = number
        self.started_s = time.monotonic()
        self._process, self._respond = process, respond
        self._reader, self._writer = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ControlReply]] = {}
        self._responding: set[asyncio.Future[bytes]] = set()
        self._is_gone = False
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def started(cls, number: int, inherited: Sequence[int], respond: RespondToWorker) -> Self:
        """Starts a worker.

        Args:
            number: of the worker.
            inherited: descriptors that it has as well.
            respond: replies to its messages.

        Raises:
            ProcessError: the system has no room for another process.
        """
        try:
            process, connection = _spawned(inherited)
        except OSError as error:
            raise ProcessError(f"Worker {number} cannot be started: {error.strerror or error}.") from error
        return cls(number, process, await asyncio.open_connection(sock=connection), respond)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    async def request(self, kind: str, body: bytes = b"") -> ControlReply:
        """Sends a message and returns the reply.

        Raises:
            ProcessError: the worker has ended.
        """
        if self._is_gone:
            raise self._gone()
        number = next(self._numbers)
        reply: asyncio.Future[ControlReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        self._send(ControlMessage(number, kind, body))
        try:
            return await reply
        finally:
            self._waiting.pop(number, None)

    def stop(self) -> None:
        """Lets the worker reply to what it accepted, and end; it gets no more messages."""
        if not self._writer.is_closing():
            self._writer.write_eof()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()

    async def ended(self) -> str:
        """Returns how the process ended, for people, once it has."""
        await asyncio.shield(self._receiving)
        status = await asyncio.to_thread(self._process.wait)
        self._writer.close()
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"

    def _send(self, frame: ControlFrame) -> None:
        if not self._writer.is_closing():
            self._writer.write(encoded_frame(frame))

    async def _receive(self) -> None:
        """Takes what the worker sends, until it has ended."""
        try:
            while True:
                (size,) = CONTROL_LENGTH.unpack(await self._reader.readexactly(CONTROL_LENGTH.size))
                self._take(decoded_frame(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, OSError):
            self._is_gone = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(self._gone())

    def _take(self, frame: ControlFrame) -> None:
        if isinstance(frame, ControlReply):
            waiting = self._waiting.get(frame.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            return
        task = asyncio.ensure_future(self._respond(self, frame))
        self._responding.add(task)
        task.add_done_callback(partial(self._reply_to, frame))

    def _reply_to(self, message: ControlMessage, task: "asyncio.Future[bytes]") -> None:
        """Replies whatever happened: the worker waits for it."""
        self._responding.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            self._send(ControlReply(message.number, task.result()))
            return
        if not isinstance(error, MaasError):
            log.error("A message of kind %s of worker %d failed.", message.kind, self.number, exc_info=error)
        self._send(reply_of_fault(message.number, error))

    def _gone(self) -> ProcessError:
        return ProcessError(f"Worker {self.number} (process {self.pid}) has ended.")


def _spawned(inherited: Sequence[int]) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """Returns a new process and this side's end of the channel to it."""
    own, other = socket.socketpair()
    with other:
        command = [sys.executable, "-m", "maas.serving.workers.worker", str(other.fileno())]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[other.fileno(), *inherited])
        except OSError:
            own.close()
            raise
    return process, own
