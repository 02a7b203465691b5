"""Replies that are written while they are made, and what writes them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable

import msgspec

from maas.serving.call import TextChunk


class StreamedReply(msgspec.Struct, frozen=True):
    """One reply, written as it is made.

    Args:
        parts: its bytes as they come; whoever does not read them to their end closes them.
        ending: makes the last bytes where a fault ends the parts, of what a body says of the fault.
        media_type: type of the body.
        metadata: pairs of a name in lower case and a value.
    """

    parts: AsyncGenerator[bytes, None]
    ending: Callable[[bytes], bytes]
    media_type: bytes
    metadata: tuple[tuple[bytes, bytes], ...] = ()


class TextEvents(ABC):
    """Writes the events of one streamed reply."""

    @abstractmethod
    def written(self, chunk: TextChunk) -> bytes:
        """Returns what a chunk of a text is to the caller."""

    @abstractmethod
    def end(self) -> bytes:
        """Returns what follows the last chunk."""

    @abstractmethod
    def fault(self, body: bytes) -> bytes:
        """Returns what ends a reply that cannot be continued.

        Args:
            body: what a reply that is written whole says of the fault.
        """
