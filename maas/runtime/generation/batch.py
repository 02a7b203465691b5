"""Texts that are generated together: they join and leave between steps, and each step adds a token to every one."""

from collections.abc import Sequence

from maas.errors import GenerationError
from maas.runtime.generation.decoder import RUN_COST, RUN_TOKENS, Decoder, TokenIds, prompts_of_a_run, tokens_of_a_run
from maas.runtime.generation.held_prompts import LEAST_SHARED, HeldPrompts, common_beginning
from maas.runtime.generation.text import GeneratedText, Piece

Pieces = list[tuple[GeneratedText, Piece | GenerationError]]
"""What a run gives: texts with what they gained, or why they cannot be continued."""


class DecodingBatch:
    """Sequences in the slots of one cache: first texts that are generated, then one whose prompt is read in parts.

    The slots in use have no gaps, since a run takes neighbouring ones: where a text ends, the one of the last slot
    takes its place. What a slot holds of a prompt's beginning, of another text in progress or one that has left, is
    copied and not computed.

    Args:
        decoder: graph.
        slots: most texts at a time.
        length: most tokens of a prompt and its text.
    """

    def __init__(self, decoder: Decoder, slots: int, length: int) -> None:
        self._decoder = decoder
        self._cache = decoder.new_cache(slots, length)
        self._held = HeldPrompts(self._cache)
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
        """Reads prompts, and returns the first piece of each that is read to its end.

        Prompts of similar length share a run; one that is too long is read alone, a part in each call, and so is the
        rest of one whose beginning is copied.

        Args:
            most_tokens: most new tokens of all runs, with padding and what a run costs; the first part of a long
                prompt may have as many.
        """
        pieces: Pieces = []
        left = most_tokens
        self._begin()
        while self._unread and (left == most_tokens or self._rest <= left):
            rows = self._next_rows(left)
            pieces += self._read_run(rows)
            left -= len(rows) * max(map(len, rows)) + RUN_COST
            self._begin()
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

    def clear(self) -> None:
        """Removes all texts and what the slots hold, since nobody knows that after a run that failed."""
        self._texts.clear()
        self._unread.clear()
        self._held.clear()

    @property
    def _has_begun(self) -> bool:
        """Whether a slot holds a part of the first unread prompt."""
        return bool(self._unread) and self._cache.lengths[len(self._texts)] > 0

    @property
    def _rest(self) -> int:
        """Number of tokens of the first unread prompt that no slot holds for it."""
        return len(self._unread[0].prompt) - int(self._cache.lengths[len(self._texts)])

    def _begin(self) -> None:
        """Gives the first unread text its slot, unless it has one."""
        if self._unread and not self._has_begun:
            self._held.begin(len(self._texts), self._unread[0])

    def _next_rows(self, most_tokens: int) -> list[TokenIds]:
        """Returns the tokens of the next run: a part of the first unread prompt, or several prompts whole."""
        if self._has_begun:
            prompt = self._unread[0].prompt
            start = len(prompt) - self._rest
            return [prompt[start : start + tokens_of_a_run(self._rest, most_tokens)]]
        count = prompts_of_a_run([len(text.prompt) for text in self._unread], most_tokens)
        together = self._unread[:1]
        while len(together) < count and self._is_computed_whole(self._unread[len(together)], together):
            self._held.begin(len(self._texts) + len(together), self._unread[len(together)])
            together.append(self._unread[len(together)])
        return [text.prompt[: tokens_of_a_run(len(text.prompt), most_tokens)] for text in together]

    def _is_computed_whole(self, text: GeneratedText, others: Sequence[GeneratedText]) -> bool:
        """Whether neither slots nor prompts that are read before it have a beginning that a text may take."""
        return not self._held.has_beginning(text) and all(
            common_beginning(other, text) < LEAST_SHARED for other in others
        )

    def _read_run(self, rows: Sequence[TokenIds]) -> Pieces:
        first = len(self._texts)
        logits = self._decoder.extend(self._cache, first, rows)
        self._held.add(first, rows)
        if self._rest:
            return []
        texts = self._unread[: len(rows)]
        self._texts += texts
        del self._unread[: len(texts)]
        pieces: Pieces = [(text, text.advance(row)) for text, row in zip(texts, logits, strict=True)]
        self._remove_ended()
        return pieces

    def _remove_ended(self) -> None:
        for slot in reversed(range(len(self._texts))):
            if self._texts[slot].has_ended:
                self._remove(slot)

    def _remove(self, slot: int) -> None:
        last, has_begun = len(self._texts) - 1, self._has_begun
        self._held.release(slot, is_kept=not self._texts[slot].has_failed)
        self._held.swap(slot, last)
        self._texts[slot] = self._texts[last]
        self._texts.pop()
        if has_begun:  # of the unread texts, the first alone has a slot
            self._held.swap(last, last + 1)

    def _remove_unread(self, place: int) -> None:
        if place == 0 and self._has_begun:
            self._held.release(len(self._texts))
        del self._unread[place]
