"""Texts that are generated together: they join and leave between steps, and each step adds a token to every one."""

from collections.abc import Sequence

from maas.runtime.generation.decoder import Decoder
from maas.runtime.generation.text import GeneratedText, Piece

Pieces = list[tuple[GeneratedText, Piece]]


class DecodingBatch:
    """Sequences in the slots of one cache.

    The first slots are in use, without gaps, since a run takes neighbouring slots: where a text ends, the one of the
    last slot moves to its place.

    Args:
        decoder: graph.
        slots: most texts at a time.
        length: most tokens of a prompt and its text.
    """

    def __init__(self, decoder: Decoder, slots: int, length: int) -> None:
        self._decoder = decoder
        self._cache = decoder.new_cache(slots, length)
        self._texts: list[GeneratedText] = []

    @property
    def free_slots(self) -> int:
        """How many texts may join."""
        return self._cache.slots - len(self._texts)

    @property
    def is_empty(self) -> bool:
        """Whether no text is in progress."""
        return not self._texts

    def join(self, texts: Sequence[GeneratedText]) -> Pieces:
        """Reads prompts, and returns the first piece of each.

        Args:
            texts: at most `free_slots`.

        Raises:
            ValueError: there are more.
        """
        if len(texts) > self.free_slots:
            raise ValueError(f"{len(texts)} texts do not fit into {self.free_slots} free slots.")
        ordered = sorted(texts, key=lambda text: len(text.prompt))
        first = len(self._texts)
        self._texts += ordered
        logits = self._decoder.prefill(self._cache, first, [text.prompt for text in ordered])
        pieces = [(text, text.advance(row)) for text, row in zip(ordered, logits, strict=True)]
        self._remove_ended()
        return pieces

    def step(self) -> Pieces:
        """Adds a token to every text and returns the pieces."""
        logits = self._decoder.step(self._cache, [text.newest for text in self._texts])
        pieces = [(text, text.advance(row)) for text, row in zip(self._texts, logits, strict=True)]
        self._remove_ended()
        return pieces

    def leave(self, text: GeneratedText) -> None:
        """Removes a text before its end; nothing happens where it has ended."""
        if text in self._texts:
            self._remove(self._texts.index(text))

    def _remove_ended(self) -> None:
        for slot in reversed(range(len(self._texts))):
            if self._texts[slot].finish_reason is not None:
                self._remove(slot)

    def _remove(self, slot: int) -> None:
        last = len(self._texts) - 1
        if slot != last:
            self._cache.move(last, slot)
            self._texts[slot] = self._texts[last]
        self._texts.pop()
        self._cache.clear(last)
