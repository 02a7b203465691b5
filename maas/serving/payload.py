"""JSON in and out, strictly: what cannot be read is refused with the cause; NaN and infinity are never written."""

import shlex
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from maas.runtime.processors import Processor
from maas.serving.faults import UnreadableError

T = TypeVar("T")
LONG = 400
"""Characters of an example beyond which a file is shown in its place, where the model takes files."""
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
    return shortened(encode(example).decode(), 120)


def shortened(text: str, limit: int = 4000) -> str:
    """Returns a text as it is, or its two ends where it is long."""
    return text if len(text) <= limit else f"{text[: limit - 20]} … {text[-10:]}"


def example_call(processor: Processor, url: str, row: Any) -> str:
    """Returns a shell command that asks a model for one row, or for a file where a row is long and may be one.

    Args:
        processor: tells how a row is sent.
        url: of the model's task.
        row: one that works.
    """
    body = encode({processor.input_name: row}).decode()
    is_file = processor.media_types and len(body) > LONG
    return f"curl -s {url} {file_of(processor.media_types) if is_file else f'-d {shlex.quote(body)}'}"


def file_of(media_types: Sequence[str]) -> str:
    """Returns the arguments of curl that send a file of the first of these types."""
    kind = media_types[0]
    return f"-H 'content-type: {kind}' --data-binary @FILE.{kind.partition('/')[2]}"


def _surrogate_hint(body: bytes) -> str:
    """Msgspec calls a string that ends in half of a surrogate pair truncated."""
    return " (it may hold half of a surrogate pair, \\ud800 to \\udfff)" if b"\\ud" in body.lower() else ""
