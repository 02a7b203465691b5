"""What OpenAI's completions and chat completions share of their replies: the frame, the usage, and the events."""

from collections.abc import Mapping, Sequence

from maas.serving.call import GenerationCall, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.requests import OpenAiCall
from maas.serving.protocols.streaming import TextEvents

DONE = b"data: [DONE]\n\n"


def reply_frame(kind: str, call: OpenAiCall, choices: Sequence[object]) -> dict[str, object]:
    """Returns a reply, or a chunk of one, without its usage."""
    return {
        "id": call.identity,
        "object": kind,
        "created": call.created_s,
        "model": call.model,
        "choices": choices,
    }


class TokenUsage:
    """Counts the tokens of a call: each prompt once, as its first text read it, however many texts it has.

    Args:
        call: whose chunks are counted.
    """

    def __init__(self, call: GenerationCall) -> None:
        self._copies = call.copies
        self._prompts: dict[int, int] = {}
        self._cached: dict[int, int] = {}
        self.generated = 0

    @classmethod
    def of(cls, call: GenerationCall, texts: Sequence[TextChunk]) -> "TokenUsage":
        """Returns the usage of a reply that is written whole."""
        usage = cls(call)
        for text in texts:
            usage.add(text)
        return usage

    def add(self, chunk: TextChunk) -> None:
        """Counts a chunk."""
        prompt, copy = divmod(chunk.index, self._copies)
        self._prompts[prompt] = chunk.prompt_tokens
        if not copy:
            self._cached[prompt] = chunk.cached_tokens
        self.generated += chunk.tokens

    @property
    def read(self) -> int:
        """Number of tokens of the prompts."""
        return sum(self._prompts.values())

    @property
    def cached(self) -> int:
        """Number of tokens of the prompts that were not computed again."""
        return sum(self._cached.values())

    @property
    def shown(self) -> dict[str, object]:
        """The numbers as completions and chat completions write them."""
        return {
            "prompt_tokens": self.read,
            "completion_tokens": self.generated,
            "total_tokens": self.read + self.generated,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


class OpenAiEvents(TextEvents):
    """Events of one stream, in OpenAI's frame.

    Args:
        kind: what `object` says of a chunk.
        call: whose reply it is.
    """

    def __init__(self, kind: str, call: OpenAiCall) -> None:
        self._kind, self._call = kind, call
        self._usage = TokenUsage(call)

    def end(self) -> bytes:
        """Returns the usage where it is wanted, and what ends every stream."""
        if not self._call.has_usage:
            return DONE
        return _event(encode({**reply_frame(self._kind, self._call, []), "usage": self._usage.shown})) + DONE

    def fault(self, body: bytes) -> bytes:
        """Returns the error as an event."""
        return _event(body)

    def _choice(self, choice: Mapping[str, object]) -> bytes:
        """Returns an event of one choice; where usage is wanted, each says that it comes later."""
        frame = reply_frame(self._kind, self._call, [choice])
        return _event(encode({**frame, "usage": None} if self._call.has_usage else frame))


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data
