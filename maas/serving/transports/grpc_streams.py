"""Streams of gRPC: a client sends messages, and gets the pieces of the replies to all of them as they come.

Replies to several messages are made at the same time. What goes wrong with one is a message of the stream, which goes
on. No more is made than the client reads.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple, TypeAlias

from maas.serving.protocols.operations import AnyReply
from maas.serving.protocols.streaming import StreamedReply

MOST_MESSAGES = 64
"""Of one stream that are replied to at the same time; further ones are read once there is room."""


class MessageReply(NamedTuple):
    """What there is for one message of a stream.

    Args:
        reply: to the message, or the fault that it met.
        ended: is called at the end of the reply, with the fault that ended it.
    """

    reply: AnyReply | BaseException
    ended: Callable[[BaseException | None], None]


Respond: TypeAlias = Callable[[bytes], Awaitable[MessageReply]]


class MessageStream:
    """Replies to the messages of one client.

    Args:
        respond: returns the reply to a message.
        refusal: returns what a body says of a fault.
        fault: makes a message of that, where no reply has begun.
    """

    def __init__(
        self, respond: Respond, refusal: Callable[[BaseException], bytes], fault: Callable[[bytes], bytes]
    ) -> None:
        self._respond, self._refusal, self._fault = respond, refusal, fault
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._room = asyncio.Semaphore(MOST_MESSAGES)

    async def replies(self, messages: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yields the pieces of the replies to some messages; closing it ends the work on them."""
        reading = asyncio.create_task(self._read(messages))
        try:
            while (part := await self._parts.get()) is not None:
                yield part
            await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self, messages: AsyncIterator[bytes]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                async for message in messages:
                    await self._room.acquire()
                    tasks.create_task(self._reply(message))
        finally:
            if (task := asyncio.current_task()) is not None and not task.cancelling():
                await self._parts.put(None)  # else nobody reads it, and there may never be room for it

    async def _reply(self, message: bytes) -> None:
        try:
            reply, ended = await self._respond(message)
            if isinstance(reply, StreamedReply):
                await self._pass_on(reply, ended)
            elif isinstance(reply, BaseException):
                ended(reply)
                await self._parts.put(self._fault(self._refusal(reply)))
            else:
                ended(None)
                await self._parts.put(reply.body)
        finally:
            self._room.release()

    async def _pass_on(self, reply: StreamedReply, ended: Callable[[BaseException | None], None]) -> None:
        """Puts the pieces of a reply into the stream, and the fault that ends it."""
        passing = asyncio.create_task(self._put_parts(reply))
        try:
            await asyncio.wait([passing])
        except asyncio.CancelledError as error:
            passing.cancel()
            ended(error)
            raise
        fault = passing.exception()
        ended(fault)
        if fault is not None:
            await self._parts.put(reply.ending(self._refusal(fault)))

    async def _put_parts(self, reply: StreamedReply) -> None:
        async with aclosing(reply.parts) as parts:
            async for part in parts:
                if part:
                    await self._parts.put(part)
