"""What the slots of a cache hold of prompts, so that one which begins as another did is not computed from there.

Keys and values of a token depend on the tokens before it alone: a common beginning has the same ones in every prompt.
A slot whose text has ended holds those of its prompt until another needs it; the one that was used least recently is
overwritten first. Those of generated tokens are not shared: a step's rounding differs from that of a run which reads a
prompt, so that a text could be another one than its prompt alone gives.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maas.runtime.generation.decoder import LEAST_TOKENS, RUN_COST, KeyValueCache, TokenIds
from maas.runtime.generation.text import GeneratedText

LEAST_SHARED = 2 * RUN_COST
"""Of the tokens that are worth copying: the rest of the prompt is then read by a run of its own."""


class HeldPrompts:
    """Tokens of prompts whose keys and values the slots hold, of texts in progress and of those that have left.

    Args:
        cache: whose slots they are; the ones in use come first.
    """

    def __init__(self, cache: KeyValueCache) -> None:
        self._cache = cache
        self._tokens = np.zeros((cache.slots, cache.length), np.int32)
        self._sizes = np.zeros(cache.slots, np.int32)
        self._scopes = [""] * cache.slots
        self._last_used = np.zeros(cache.slots, np.int64)
        self._clock = 0

    def begin(self, slot: int, text: GeneratedText) -> None:
        """Gives the first free slot to a text, with what slots hold of its prompt's beginning; else it is empty.

        What the slot held before is kept in the place of what was used least recently.

        Args:
            slot: the first free one.
            text: whose `cached_tokens` says afterwards how many tokens of its prompt are there.
        """
        source, count = self._longest(text)
        if count and source >= slot and self._sizes[source] == count:  # it is continued, and nothing of it is lost
            self.swap(slot, source)
        else:
            self._make_room(slot, source if count else None)
            if count:
                self._last_used[source] = self._tick()
                self._copy(source, slot, count)
        self._sizes[slot] = self._cache.lengths[slot] = text.cached_tokens = count
        self._scopes[slot] = text.scope
        self._last_used[slot] = 0

    def has_beginning(self, text: GeneratedText) -> bool:
        """Whether a slot holds a part of a prompt's beginning that is worth copying."""
        return self._longest(text)[1] > 0

    def add(self, first: int, rows: Sequence[TokenIds]) -> None:
        """Notes the tokens of prompts that a run has added to neighbouring slots."""
        slots = slice(first, first + len(rows))
        for slot, row in enumerate(rows, first):
            end = self._cache.lengths[slot]
            self._tokens[slot, end - len(row) : end] = row
        self._sizes[slots] = self._cache.lengths[slots]

    def release(self, slot: int, *, is_kept: bool = True) -> None:
        """Frees a slot, which holds its prompt on.

        Args:
            slot: of a text that leaves.
            is_kept: whether the prompt may be used again; a short one is not, nor what another slot holds as well.
        """
        self._cache.clear(slot)
        size = self._sizes[slot]
        shared = self._common(self._tokens[slot, :size], self._scopes[slot])
        shared[slot] = 0
        if is_kept and size >= LEAST_SHARED and shared.max() < size:
            self._last_used[slot] = self._tick()
        else:
            self._sizes[slot] = self._last_used[slot] = 0

    def swap(self, one: int, other: int) -> None:
        """Exchanges two slots, with the texts that are in progress there."""
        if one == other:
            return
        pair, turned = [one, other], [other, one]
        used = np.maximum(self._sizes, self._cache.lengths)
        self._cache.swap(one, other, int(used[one]), int(used[other]))
        for array in (self._tokens, self._sizes, self._last_used):
            array[pair] = array[turned]
        self._scopes[one], self._scopes[other] = self._scopes[other], self._scopes[one]

    def clear(self) -> None:
        """Empties all slots."""
        for array in (self._cache.lengths, self._sizes, self._last_used):
            array[:] = 0

    def _longest(self, text: GeneratedText) -> tuple[int, int]:
        """Returns the slot that holds most of a prompt's beginning, and how much; 0 where it is not worth a copy.

        The prompt's last tokens are computed in any case, since the first new one is drawn by their logits.
        """
        shared = self._common(text.prompt[:-LEAST_TOKENS], text.scope)
        source = int(shared.argmax())
        count = int(shared[source])
        return source, count if count >= LEAST_SHARED else 0

    def _common(self, tokens: NDArray[np.integer], scope: str) -> NDArray[np.int64]:
        """Returns how many tokens each slot's prompt has in common with another one from its beginning, (slots,)."""
        sizes = np.where([one == scope for one in self._scopes], self._sizes, 0)
        is_common = self._tokens[:, : len(tokens)] == tokens
        is_common &= np.arange(len(tokens)) < sizes[:, None]
        found: NDArray[np.int64] = np.logical_and.accumulate(is_common, axis=1).sum(axis=1)
        return found

    def _make_room(self, slot: int, source: int | None) -> None:
        """Moves what a slot holds to the free one that was used least recently, but not to the one to copy from."""
        free = [one for one in range(slot, self._cache.slots) if one != source] or [slot]
        oldest = min(free, key=self._last_used.__getitem__)
        if oldest != slot:
            self._copy(slot, oldest, int(self._sizes[slot]))
            self._sizes[oldest], self._last_used[oldest] = self._sizes[slot], self._last_used[slot]
            self._scopes[oldest] = self._scopes[slot]

    def _copy(self, source: int, target: int, count: int) -> None:
        """Copies the beginning of a prompt."""
        if source != target:
            self._cache.copy(source, target, count)
            self._tokens[target, :count] = self._tokens[source, :count]

    def _tick(self) -> int:
        self._clock += 1
        return self._clock


def common_beginning(one: GeneratedText, other: GeneratedText) -> int:
    """Returns how many tokens a prompt may take from another one, as both begin with them.

    Args:
        one: a text.
        other: the text that takes them; the last tokens of its prompt are computed in any case.
    """
    size = max(0, min(len(one.prompt), len(other.prompt) - LEAST_TOKENS)) if one.scope == other.scope else 0
    differs = one.prompt[:size] != other.prompt[:size]
    return int(differs.argmax()) if differs.any() else size
