"""Texts that are generated together: they join and leave between steps, and each step adds a token to every one."""

from collections.abc import Sequence

from maas.errors import GenerationError
from maas.runtime.generation.decoder import RUN_TOKENS, Decoder, prompts_of_a_run
from maas.runtime.generation.text import GeneratedText, Piece

Pieces = list[tuple[GeneratedText, Piece | GenerationError]]
"""What a run gives: texts with what they gained, or why they cannot be continued."""


class DecodingBatch:
    """Sequences in the slots of one cache: first texts that are generated, then those whose prompts are read.

    The slots in use have no gaps, since a run takes neighbouring ones: where a text ends, the one of the last slot
    moves to its place.

    Args:
        decoder: graph.
        slots: most texts at a time.
        length: most tokens of a prompt and its text.
    """

    def __init__(self, decoder: Decoder, slots: int, length: int) -> None:
        self._decoder = decoder
        self._cache = decoder.new_cache(slots, length)
        self._texts: list[GeneratedText] = []
        self._unread: list[GeneratedText] = []

    @property
    def free_slots(self) -> int:
        """How many texts may join."""
        return self._cache.slots - len(self._texts) - len(self._unread)

    @property
    def cache_bytes(self) -> int:
        """Size of the cache once every slot was full."""
        return sum(tensor.nbytes for tensor in self._cache.tensors.values())

    @property
    def is_empty(self) -> bool:
        """Whether no text is in progress."""
        return not (self._texts or self._unread)

    @property
    def texts(self) -> tuple[GeneratedText, ...]:
        """Texts whose prompts are read: those that a step adds a token to."""
        return tuple(self._texts)

    @property
    def has_prompts(self) -> bool:
        """Whether a prompt is not read to its end."""
        return bool(self._unread)

    def join(self, texts: Sequence[GeneratedText]) -> Pieces:
        """Reads prompts to their end, and returns the first piece of each.

        Args:
            texts: at most `free_slots`.

        Raises:
            ValueError: there are more.
        """
        self.admit(texts)
        pieces: Pieces = []
        while self._unread:
            pieces += self.read()
        return pieces

    def admit(self, texts: Sequence[GeneratedText]) -> None:
        """Takes slots for texts whose prompts `read` reads; of texts that come together, short prompts first.

        Args:
            texts: at most `free_slots`.

        Raises:
            ValueError: there are more.
        """
        if len(texts) > self.free_slots:
            raise ValueError(f"{len(texts)} texts do not fit into {self.free_slots} free slots.")
        self._unread += sorted(texts, key=lambda text: len(text.prompt))

    def read(self, most_tokens: int = RUN_TOKENS) -> Pieces:
        """Reads prompts in one run, and returns the first piece of each that is read to its end.

        A prompt that is too long is read alone, a part in each call; others share the run.

        Args:
            most_tokens: most new tokens of the run, padding included.
        """
        if not self._unread:
            return []
        first = len(self._texts)
        start = int(self._cache.lengths[first])
        sizes = [len(text.prompt) for text in self._unread]
        texts = self._unread[: 1 if start else prompts_of_a_run(sizes, most_tokens)]
        rows = [text.prompt[start : start + most_tokens] for text in texts]
        logits = self._decoder.extend(self._cache, first, rows)
        if start + len(rows[0]) < len(texts[0].prompt):
            return []
        self._texts += texts
        del self._unread[: len(texts)]
        pieces: Pieces = [(text, text.advance(row)) for text, row in zip(texts, logits, strict=True)]
        self._remove_ended()
        return pieces

    def step(self) -> Pieces:
        """Adds a token to every text whose prompt is read, and returns the pieces."""
        logits = self._decoder.step(self._cache, [text.newest for text in self._texts])
        pieces: Pieces = [(text, text.advance(row)) for text, row in zip(self._texts, logits, strict=True)]
        self._remove_ended()
        return pieces

    def leave(self, text: GeneratedText) -> None:
        """Removes a text before its end; nothing happens where it has ended."""
        if text in self._texts:
            self._remove(self._texts.index(text))
        elif text in self._unread:
            self._remove_unread(self._unread.index(text))

    def _remove_ended(self) -> None:
        for slot in reversed(range(len(self._texts))):
            if self._texts[slot].has_ended:
                self._remove(slot)

    def _remove(self, slot: int) -> None:
        last = len(self._texts) - 1
        if slot != last:
            self._cache.move(last, slot)
            self._texts[slot] = self._texts[last]
        self._texts.pop()
        self._cache.clear(last)
        if self._unread:  # of these, the first alone may have begun
            self._cache.move(last + 1, last)
            self._cache.clear(last + 1)

    def _remove_unread(self, place: int) -> None:
        del self._unread[place]
        if place == 0:
            self._cache.clear(len(self._texts))
