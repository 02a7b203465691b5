"""How much of requests' bodies is in memory, and what kinds of bodies are read."""

import asyncio

from maas.errors import OverloadError
from maas.serving.faults import MediaTypeError, TooLargeError
from maas.serving.protocols.operations import Metadata
from maas.serving.transports.compression import LARGEST_RATIO, decompressed, require_known_encoding

DISCARD_BYTES = 64 * 2**20  # what is read and thrown away so that a client that still sends can read its reply
DISCARD_S = 10.0


class BodyBudget:
    """The bytes of the bodies that are in memory, of all requests together.

    Args:
        max_body_bytes: largest size of one body.
        max_total_bytes: largest size of all of them; a request that does not fit is refused before it is read.
    """

    def __init__(self, max_body_bytes: int, max_total_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_total_bytes = max_total_bytes
        self.held_bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether a body of some bytes may be held now."""
        return size <= self.max_body_bytes and (not self.held_bytes or self.held_bytes + size <= self.max_total_bytes)

    def hold(self, size: int, held: int) -> int:
        """Reserves room for a body of some bytes in all, and returns how many it holds now.

        Args:
            size: of the body, as far as it is known.
            held: bytes that were reserved for it before.

        Raises:
            TooLargeError: no body may be so large.
            OverloadError: there is no room now.
        """
        if size <= held:
            return held
        if size > self.max_body_bytes:
            raise _too_large(self.max_body_bytes, size)
        if self.held_bytes > held and self.held_bytes - held + size > self.max_total_bytes:
            raise OverloadError(
                f"The bodies of requests hold {self.held_bytes:,} bytes of at most {self.max_total_bytes:,}; "
                f"{size - held:,} more do not fit. Try again in a second."
            )
        self.held_bytes += size - held
        return size


def require_readable_body(media_type: bytes, encoding: bytes, *, takes_forms: bool = False) -> bytes:
    """Returns how a body is compressed; empty where it is not.

    Args:
        media_type: declared type of the body; empty where there is none.
        encoding: declared compression; empty where there is none.
        takes_forms: whether the operation reads multipart forms.

    Raises:
        MediaTypeError: the body is a form where none is read, or compressed in a way that is not read here.
    """
    if not takes_forms and media_type[:10].lower() == b"multipart/":
        raise MediaTypeError(
            "The body is a multipart form; send JSON: curl -d '{…}', with -H 'content-type: application/json'."
        )
    if not encoding or encoding.strip().lower() == b"identity":
        return b""
    require_known_encoding(encoding)
    return encoding


def checked_head(headers: Metadata, *, takes_forms: bool) -> tuple[int, bool, bytes]:
    """Returns the announced length, whether the client waits for `100 Continue`, and how the body is compressed.

    Args:
        headers: of the request.
        takes_forms: whether the operation reads multipart forms.

    Raises:
        MediaTypeError: the body is a form, or compressed in a way that is not read here.
    """
    media_type, encoding = headers.get(b"content-type", b""), headers.get(b"content-encoding", b"")
    encoding = require_readable_body(media_type, encoding, takes_forms=takes_forms)
    return int(headers.get(b"content-length", 0)), headers.get(b"expect", b"").lower() == b"100-continue", encoding


def _too_large(limit_bytes: int, found: int) -> TooLargeError:
    return TooLargeError(
        f"The body has {found:,} bytes or more; this server takes {limit_bytes:,}. Send fewer rows at a time, or start "
        "the server with a larger max_body_bytes."
    )


async def decompressed_body(
    body: bytes | bytearray, encoding: bytes, budget: BodyBudget, held: int
) -> tuple[bytes, int]:
    """Returns what a compressed body stands for, and how many bytes are held for it; a thread decodes it.

    Args:
        body: as it was sent.
        encoding: how it is compressed.
        budget: of all bodies.
        held: bytes that are held for the body as it was sent.

    Raises:
        TooLargeError: it stands for more than a body may have.
        OverloadError: there is no room for what it may stand for.
        UnreadableError: it is damaged.
    """
    largest = budget.hold(min(budget.max_body_bytes, LARGEST_RATIO * len(body)), held)
    kept = held
    try:
        content = await asyncio.to_thread(decompressed, body, encoding, budget.max_body_bytes)
        kept = max(held, len(content))
    finally:
        budget.held_bytes -= largest - kept
    return content, kept
