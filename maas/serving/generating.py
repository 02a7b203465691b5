"""From a call for texts to its reply: written whole, or as events while the texts are generated."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from maas.serving.call import GenerationCall, TextChunk, merged_chunks
from maas.serving.deadlines import timeout_s, with_priority
from maas.serving.protocols.operations import JSON, AnyReply, Generating, Reply, Request
from maas.serving.protocols.streaming import StreamedReply, TextEvents
from maas.serving.repository import Snapshot

AnyGenerationCall = TypeVar("AnyGenerationCall", bound=GenerationCall)


async def generated_reply(operation: Generating[Any], request: Request, snapshot: Snapshot) -> AnyReply:
    """Returns the reply to a request for texts; one that is streamed begins once there is something to send.

    Args:
        operation: that answers.
        request: read whole.
        snapshot: what is served.

    Raises:
        InputError: the request or its prompt cannot be understood.
        OverloadError: there is no room for it.
        DeadlineError: its deadline has passed before its reply began.
    """
    call = _in_time(with_priority(operation.parse(request, snapshot), request), request)
    deployment = snapshot.find_generating(call.model, call.version)
    request.version = deployment.version
    stream = deployment.engine.submit(call)
    metadata = deployment.reply_metadata
    if not call.stream:
        async with aclosing(stream):
            body = operation.render(call, deployment, merged_chunks([chunk async for chunk in stream]))
        return Reply(body, JSON, metadata)
    first = await anext(stream)  # a stream that raises is closed by that
    events = operation.events(call, deployment)
    return StreamedReply(_written(events, first, stream), events.fault, operation.event_type, metadata)


async def _written(
    events: TextEvents, first: TextChunk, rest: AsyncGenerator[TextChunk, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        if written := events.written(first):
            yield written
        async for chunk in rest:
            if written := events.written(chunk):
                yield written
    yield events.end()


def _in_time(call: AnyGenerationCall, request: Request) -> AnyGenerationCall:
    """Returns a call with the deadline that its request's header gives it."""
    if not request.timeout:
        return call
    return msgspec.structs.replace(call, deadline_s=asyncio.get_running_loop().time() + timeout_s(request.timeout))
