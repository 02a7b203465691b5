"""JSON in and out, strictly: what cannot be read is refused with the cause; NaN and infinity are never written.

Some protocols' clients write NaN for a missing number, which is read where the protocol says so. A body may also be a
file: a picture or a sound as it is on a disk.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from maas.errors import InputError
from maas.runtime.codec import Codec
from maas.serving.faults import MediaTypeError, UnreadableError

Decoded = TypeVar("Decoded")
LARGE_FILE_BYTES, LARGE_FILE_PIXELS = 256 * 2**10, 10**6
LONGEST_PROMPTS_BYTES = 2**20
"""Of a body with prompts: tokenizers keep the processor for a second with so much."""
encode = msgspec.json.encode


def require_prompts_size(body: bytes | bytearray) -> None:
    """Refuses a body that is larger than prompts may be, before it is decoded.

    Raises:
        InputError: it is larger.
    """
    if len(body) > LONGEST_PROMPTS_BYTES:
        raise InputError(f"The body has {len(body):,} bytes; prompts may have {LONGEST_PROMPTS_BYTES:,}.")


def decode(decoder: "msgspec.json.Decoder[Decoded]", body: bytes | bytearray) -> Decoded:
    """Reads a body.

    Args:
        decoder: of the type that the operation takes.
        body: the bytes.

    Raises:
        UnreadableError: it is not JSON, or not of that type.
    """
    if not body:
        raise UnreadableError("The body is empty; send JSON")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"The body is not what this route takes: {error}. Send JSON") from None
    except msgspec.DecodeError as error:
        raise UnreadableError(f"The body is not JSON: {error}{_surrogate_hint(body)}. Send JSON") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"The body is not UTF-8: {error.reason}. Send JSON encoded as UTF-8") from None
    except RecursionError:
        raise UnreadableError("The body is nested too deeply. Send JSON") from None


def decode_with_nan(decoder: "msgspec.json.Decoder[Decoded]", body: bytes | bytearray) -> Decoded:
    """Reads a body of a protocol whose clients write NaN, as Python's own `json` does.

    Args:
        decoder: of the type that the operation takes.
        body: the bytes.

    Raises:
        UnreadableError: it is not JSON, even with NaN, or not of that type.
    """
    try:
        return decode(decoder, body)
    except UnreadableError:
        if b"NaN" not in body:
            raise
        try:
            return msgspec.convert(json.loads(body, parse_constant=_nan), decoder.type)
        except (ValueError, RecursionError):  # ValidationError, JSONDecodeError and UnicodeDecodeError are the first
            pass
        raise


def encoded_list(parts: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yields one JSON list of all that some lists hold, a list at a time."""
    yield b"["
    separator = b""
    for part in parts:
        if part:
            yield separator + encode(part)[1:-1]
            separator = b","
    yield b"]"


def is_large_file(body: bytes | bytearray, processor: Codec) -> bool:
    """Whether another process decodes a file; it may have more bytes than JSON, as its decoder lets others work."""
    return len(body) > LARGE_FILE_BYTES or processor.pixels_to_decode(body) > LARGE_FILE_PIXELS


def refuse_files(media_type: str, processor: Codec) -> None:
    """Refuses a file of a type that a model does not read.

    Args:
        media_type: declared type of the body.
        processor: of the model.

    Raises:
        MediaTypeError: it is a file.
    """
    if media_type.startswith(("image/", "audio/", "video/")) or media_type == "application/octet-stream":
        known = ", ".join(sorted({"application/json", *processor.media_types}))
        raise MediaTypeError(f"The body is of type {media_type}; this route reads {known}.")


def _nan(name: str) -> float:
    """Returns a missing number; infinite ones are none.

    Raises:
        ValueError: it is infinite.
    """
    if name != "NaN":
        raise ValueError(name)
    return math.nan


def _surrogate_hint(body: bytes | bytearray) -> str:
    """Msgspec calls a string that ends in half of a surrogate pair truncated."""
    return " (it may hold half of a surrogate pair, \\ud800 to \\udfff)" if b"\\ud" in body.lower() else ""
