"""JSON in and out, strictly: what cannot be read is refused with the cause; NaN and infinity are never written.

Some protocols' clients write NaN for a missing number, which is read where the protocol says so.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from maas.serving.faults import UnreadableError

Decoded = TypeVar("Decoded")
encode = msgspec.json.encode


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
