"""JSON in and out, strictly: what cannot be read is refused with the cause; NaN and infinity are never written."""

from typing import Any, TypeVar

import msgspec

from maas.serving.faults import UnreadableError

T = TypeVar("T")
encode = msgspec.json.encode


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes, example: str) -> T:
    """Reads a body.

    Args:
        decoder: of the type that the route takes.
        body: the bytes.
        example: a body that the route takes, for the message.

    Raises:
        UnreadableError: it is not JSON, or not of that type.
    """
    if not body:
        raise UnreadableError(f"The body is empty; send JSON like {example}")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"The body is not what this route takes: {error}. Send JSON like {example}") from None
    except msgspec.DecodeError as error:
        raise UnreadableError(f"The body is not JSON: {error}{_surrogate_hint(body)}. Send e.g. {example}") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"The body is not UTF-8: {error.reason}. Send JSON encoded as UTF-8.") from None
    except RecursionError:
        raise UnreadableError(f"The body is nested too deeply. Send JSON like {example}") from None


def example_text(example: Any) -> str:
    """Returns an example as JSON, cut where it is long."""
    text = encode(example).decode()
    return text if len(text) <= 120 else f"{text[:100]} … {text[-10:]}"


def _surrogate_hint(body: bytes) -> str:
    """Msgspec calls a string that ends in half of a surrogate pair truncated."""
    return " (it may hold half of a surrogate pair, \\ud800 to \\udfff)" if b"\\ud" in body.lower() else ""
