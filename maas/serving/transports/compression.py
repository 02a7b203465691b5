"""Compressed bodies of requests, decoded within a limit: a few bytes never become more than a body may have."""

import zlib

from maas.errors import shortened_value
from maas.serving.faults import MediaTypeError, TooLargeError, UnreadableError

LARGEST_RATIO = 1032
"""Of deflate: no byte stands for more."""
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def require_known_encoding(encoding: bytes) -> None:
    """Refuses encodings that are not read here.

    Raises:
        MediaTypeError: it is another one, or there are several.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name not in _WINDOWS:
        known = ", ".join(_WINDOWS)
        raise MediaTypeError(
            f"The body is compressed as {shortened_value(name)}; this server reads {known}. Send it as it is."
        )


def decompressed(body: bytes | bytearray, encoding: bytes, max_bytes: int) -> bytes:
    """Returns what a compressed body stands for.

    Args:
        body: as it was sent.
        encoding: gzip, or deflate with zlib's head as RFC 9110 wants it.
        max_bytes: largest size of the result.

    Raises:
        TooLargeError: it stands for more.
        UnreadableError: it is damaged, or something follows.
    """
    name = encoding.decode("latin-1").strip().lower()
    decoder = zlib.decompressobj(_WINDOWS[name])
    try:
        content = decoder.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise UnreadableError(f"The body is not what {name} writes: {error}. Compress it again, or not") from None
    if len(content) > max_bytes:
        raise TooLargeError(
            f"The body stands for more than {max_bytes:,} bytes; this server takes {max_bytes:,}. Send fewer rows at a "
            "time, or start the server with a larger max_body_bytes."
        )
    if not decoder.eof or decoder.unused_data:
        found = "is followed by something else" if decoder.eof else "ends too early"
        raise UnreadableError(f"The body is compressed as {name} and {found}. Compress it again, or not")
    return content
