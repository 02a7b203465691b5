"""Examples of requests, for people: as JSON, and as a shell command."""

import shlex
from collections.abc import Sequence

from msgspec.json import encode

from maas.runtime.codec import Codec
from maas.serving.call import Row

LONG = 400
"""Characters of an example beyond which a file is shown in its place, where the model takes files."""


def example_text(example: object) -> str:
    """Returns an example as JSON, cut where it is long."""
    return shortened(encode(example).decode(), 120)


def shortened(text: str, limit: int = 4000) -> str:
    """Returns a text as it is, or its two ends where it is long.

    Args:
        text: any text.
        limit: largest number of characters.
    """
    return text if len(text) <= limit else f"{text[: limit - 20]} … {text[-10:]}"


def example_call(processor: Codec, url: str, row: Row) -> str:
    """Returns a shell command that sends a model one row, or a file where a row is long and may be one.

    Args:
        processor: of the model; it has the name of a row and the types of files.
        url: address of the model's task.
        row: one that works.
    """
    body = encode({processor.input_name: row}).decode()
    is_file = processor.media_types and len(body) > LONG
    return f"curl -s {url} {file_of(processor.media_types) if is_file else f'-d {shlex.quote(body)}'}"


def completion_call(url: str) -> str:
    """Returns a shell command that lets a model continue a text, and shows the text as it comes.

    Args:
        url: address of the server.
    """
    body = encode({"prompt": "In the beginning", "max_tokens": 16, "stream": True}).decode()
    return f"curl -sN {url}/v1/completions -d {shlex.quote(body)}"


def file_of(media_types: Sequence[str]) -> str:
    """Returns the arguments of curl that send a file of the first of these types."""
    kind = media_types[0]
    return f"-H 'content-type: {kind}' --data-binary @FILE.{kind.partition('/')[2]}"
