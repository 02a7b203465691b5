"""Streams of messages without a network: replies, faults, and callers that leave while nobody reads what is made."""

import asyncio

import pytest

from maas.serving.protocols.streaming import StreamedReply
from maas.serving.transports.grpc_streams import MessageReply, MessageStream


def stream_of(make_parts, ended: list[BaseException | None]) -> MessageStream:
    async def respond(message: bytes) -> MessageReply:
        return MessageReply(StreamedReply(make_parts(message), lambda body: b"!" + body, b""), ended.append)

    return MessageStream(respond, lambda error: str(error).encode(), lambda body: body)


async def numbers(message: bytes):
    for number in range(10**6):
        yield message + str(number).encode()
        await asyncio.sleep(0)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def messages_of(*messages: bytes, more: asyncio.Event | None = None):
    for message in messages:
        yield message
    if more is not None:
        await more.wait()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_stream_ends_when_its_reader_leaves_with_parts_unread(count):
    ended: list[BaseException | None] = []

    async def run() -> bool:
        given = messages_of(*[b"a"] * count, more=asyncio.Event())
        replies = stream_of(numbers, ended).replies(given)
        assert await anext(replies) == b"a0"
        await turns()  # there is no room for what was made since
        closing = asyncio.create_task(replies.aclose())
        await turns()
        found = closing.done()
        closing.cancel()
        return found

    assert asyncio.run(run())
    assert [type(one) for one in ended] == [asyncio.CancelledError] * count


def test_stream_ends_with_the_fault_of_a_part_and_goes_on_with_other_messages():
    ended: list[BaseException | None] = []

    async def parts(message: bytes):
        yield message
        if message == b"b":
            raise ValueError("broken")

    async def run() -> list[bytes]:
        return [one async for one in stream_of(parts, ended).replies(messages_of(b"a", b"b", b"c"))]

    assert sorted(asyncio.run(run())) == [b"!broken", b"a", b"b", b"c"]
    assert sorted(map(repr, ended)) == ["None", "None", "ValueError('broken')"]


def test_reader_gets_the_fault_when_messages_cannot_be_read():
    async def broken():
        yield b"a"
        raise ConnectionError("gone")

    async def parts(message: bytes):
        yield message

    async def run() -> list[bytes]:
        return [one async for one in stream_of(parts, []).replies(broken())]

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(run())
    assert [str(one) for one in raised.value.exceptions] == ["gone"]
