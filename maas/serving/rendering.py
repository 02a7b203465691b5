"""From outputs to a reply: small ones are written at once, large ones in turns with other work."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from maas.runtime.codec import Outputs
from maas.serving.call import Call
from maas.serving.protocols.operations import Inference, Rendered, Reply, Request
from maas.serving.reply_compression import compressed
from maas.serving.repository import Deployment, PredictingDeployment


def rendered_at_once(
    operation: Inference[Any], call: Call, deployment: PredictingDeployment, outputs: Outputs
) -> Reply:
    """Returns the reply to a call.

    Args:
        operation: that parsed the call.
        call: as it was parsed.
        deployment: that ran.
        outputs: of it, (N, …) each.
    """
    rendered = operation.render(call, deployment, outputs)
    metadata = (*deployment.reply_metadata, *rendered.metadata)
    return Reply(b"".join(rendered.parts), rendered.media_type, metadata)


async def rendered_in_turns(
    operation: Inference[Any], request: Request, call: Call, deployment: PredictingDeployment, outputs: Outputs
) -> Reply:
    """Returns a large reply to a call.

    Args:
        operation: that parsed the call.
        request: whose headers say what compression the client reads.
        call: as it was parsed.
        deployment: that ran.
        outputs: of it, (N, …) each.
    """
    return await written_in_turns(operation.render(call, deployment, outputs), request, deployment)


async def written_in_turns(rendered: Rendered, request: Request, deployment: Deployment) -> Reply:
    """Returns a reply, written in turns with other work, and compressed where the client wants that.

    Args:
        rendered: the reply before its body is written.
        request: whose headers say what compression the client reads.
        deployment: that ran.
    """
    body = b"".join([part async for part in in_turns(rendered.parts)])
    reply = Reply(body, rendered.media_type, (*deployment.reply_metadata, *rendered.metadata))
    return await compressed(reply, request.metadata)


async def in_turns(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yields parts; what else waits for the event loop has its turn between two of them."""
    for part in parts:
        yield part
        await asyncio.sleep(0)
