"""Large replies of text, compressed where the client takes that. Binary data is left as it is: floats hardly shrink.

Source: RFC 9110, section 12.5.3.
"""

import asyncio
import zlib

from maas.serving.protocols.operations import JSON, Metadata, Reply

LARGE_REPLY_BYTES = 64 * 2**10
LEVEL = 1
"""Of zlib: text of numbers becomes half of its size, and a higher level takes several times as long for little more."""
_WINDOWS = {"gzip": 31, "deflate": 15}
_VARY = (b"vary", b"accept-encoding")


async def compressed(reply: Reply, metadata: Metadata) -> Reply:
    """Returns a reply as the client wants it; a thread compresses it.

    Args:
        reply: written whole.
        metadata: of the request.
    """
    if reply.media_type != JSON or len(reply.body) < LARGE_REPLY_BYTES:
        return reply
    encoding = wanted_encoding(metadata)
    if encoding is None:
        return Reply(reply.body, reply.media_type, (*reply.metadata, _VARY))
    body = await asyncio.to_thread(_deflated, reply.body, _WINDOWS[encoding])
    return Reply(body, reply.media_type, (*reply.metadata, _VARY, (b"content-encoding", encoding.encode())))


def wanted_encoding(metadata: Metadata) -> str | None:
    """Returns the encoding that a client prefers among gzip and deflate; None where it takes neither.

    Args:
        metadata: of the request.
    """
    choices = metadata.get(b"accept-encoding", b"").decode("latin-1").lower()
    weights = dict(map(_weighted, choices.split(",")))
    known = {name: weights.get(name, weights.get("*", 0.0)) for name in _WINDOWS}
    best = max(known, key=lambda name: known[name])
    return best if known[best] > 0 else None


def _weighted(choice: str) -> tuple[str, float]:
    """Returns the name and the weight of one choice; a weight that cannot be read is none."""
    name, _, parameter = choice.partition(";")
    key, _, weight = parameter.replace(" ", "").partition("=")
    if key != "q":
        return name.strip(), 1.0
    try:
        return name.strip(), float(weight)
    except ValueError:
        return name.strip(), 0.0


def _deflated(body: bytes, window: int) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, window)
    return compressor.compress(body) + compressor.flush()
