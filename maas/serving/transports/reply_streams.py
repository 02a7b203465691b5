"""Replies that are written as they come, no faster than the client reads them.

What is made while a client does not read waits where it is made, and nothing of it is kept here.
Source: RFC 9112, section 7.1 (chunked transfer coding).
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from maas.serving.protocols.streaming import StreamedReply

LAST_CHUNK = b"0\r\n\r\n"


class ReplyStream:
    """One streamed reply on its way.

    Args:
        head: of the reply.
        reply: what follows.
        ended: receives the fault that ended the parts, or null at their end.
        is_chunked: whether each part is a chunk; else the end of the connection ends the body.
    """

    def __init__(
        self,
        head: bytes,
        reply: StreamedReply,
        ended: Callable[[BaseException | None], None],
        *,
        is_chunked: bool,
    ) -> None:
        self._head, self._reply, self._ended, self._is_chunked = head, reply, ended, is_chunked
        self._is_read = asyncio.Event()
        self._is_read.set()
        self._task: asyncio.Task[None] | None = None

    def start(self, write: Callable[[bytes], object], *, is_unread: bool) -> None:
        """Begins to write, unless that has begun.

        Args:
            write: sends bytes to the client.
            is_unread: whether the client does not read at the moment.
        """
        if self._task is None:
            if is_unread:
                self.pause()
            self._task = asyncio.get_running_loop().create_task(self._write(write))
            self._task.add_done_callback(self._finish)

    def pause(self) -> None:
        """Writes no more parts until the client reads."""
        self._is_read.clear()

    def resume(self) -> None:
        """Writes parts again."""
        self._is_read.set()

    def cancel(self) -> None:
        """Ends the work, as nobody reads it."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._reply.parts.aclose())
        else:
            self._task.cancel()

    def last_bytes(self, fault: bytes | None) -> bytes:
        """Returns what ends the body.

        Args:
            fault: what a body says of the fault that ended the parts; null for none.
        """
        ending = b"" if fault is None else self._framed(self._reply.ending(fault))
        return ending + LAST_CHUNK if self._is_chunked else ending

    async def _write(self, write: Callable[[bytes], object]) -> None:
        write(self._head)
        async with aclosing(self._reply.parts) as parts:
            async for part in parts:
                write(self._framed(part))
                await self._is_read.wait()

    def _finish(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            self._ended(task.exception())

    def _framed(self, part: bytes) -> bytes:
        if not part:  # an empty chunk would end the body
            return b""
        return b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked else part
