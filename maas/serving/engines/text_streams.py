"""What callers receive of their texts. One that reads slowly holds nobody up: what it has not read is one chunk."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from maas.runtime.generation.text import GeneratedText, Piece
from maas.serving.call import TextChunk


class TextStream:
    """The texts of one call, as they are generated. Everything here happens on the event loop.

    It does not know the jobs that know it: a text that is not wanted any more is freed at once, with the counts of all
    tokens that its sampler keeps, and not when Python next looks for circles of references.

    Args:
        texts: as they were begun.
    """

    def __init__(self, texts: Sequence[GeneratedText]) -> None:
        self._texts = texts
        self._pending: dict[int, list[Piece]] = {}
        self._left = len(texts)
        self._fault: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing follows, and all was read."""
        return not self._left and not self._pending

    def take(self, index: int, outcome: Piece | Exception) -> None:
        """Takes what a step added to a text, or why it cannot continue."""
        if isinstance(outcome, Exception):
            self._fault = outcome
        else:
            self._pending.setdefault(index, []).append(outcome)
            self._left -= outcome.finish_reason is not None
        self._changed.set()

    async def read(self) -> TextChunk:
        """Returns what one text has gained; it waits where there is nothing.

        Raises:
            Exception: what the step of a text met.
        """
        while not self._pending:
            if self._fault is not None:
                raise self._fault
            self._changed.clear()
            await self._changed.wait()
        index = next(iter(self._pending))
        return self._merged(index, self._pending.pop(index))

    def _merged(self, index: int, pieces: Sequence[Piece]) -> TextChunk:
        text = self._texts[index]
        return TextChunk(
            index,
            len(text.prompt),
            "".join(piece.text for piece in pieces),
            len(pieces),
            tuple(piece.chosen for piece in pieces if piece.chosen.logprob is not None),
            pieces[-1].finish_reason,
            text.cached_tokens,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextJob:
    """A text that is generated for a caller.

    Args:
        text: its state.
        index: its number in the call.
        stream: receives its pieces.
    """

    text: GeneratedText
    index: int
    stream: TextStream


def jobs_of(texts: Sequence[GeneratedText], stream: TextStream) -> list[TextJob]:
    """Returns the jobs of a call's texts, whose pieces a stream receives."""
    return [TextJob(text, index, stream) for index, text in enumerate(texts)]
