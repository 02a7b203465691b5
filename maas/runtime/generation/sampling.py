"""From logits to the next token. Each sequence draws by itself, so that its text does not depend on its batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maas.runtime.generation.settings import GenerationSettings

if TYPE_CHECKING:  # llguidance is an extra
    from maas.runtime.generation.grammars import GrammarState

Floats = NDArray[np.float64]
SORTED_AT_ONCE = 1024
"""Of the likeliest tokens: all that most texts draw from. Sorting a whole vocabulary takes longer than the rest."""


@dataclass(frozen=True)
class ChosenToken:
    """A token of a generated text.

    Args:
        token: its id.
        logprob: its log probability by the model, before any setting; None where none was requested.
        likeliest: ids and log probabilities of the likeliest tokens, the first first.
    """

    token: int
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one text.

    One random number is drawn for each token, and the token is found by the cumulated probabilities in the order of
    ids: rounding that differs with the batch changes a token only where the number falls into the rounding.

    Args:
        settings: how tokens are drawn.
        prompt: token ids of the prompt.
        vocabulary_size: number of tokens.
        grammar: which tokens may come; None where any may.
    """

    def __init__(
        self,
        settings: GenerationSettings,
        prompt: Sequence[int],
        vocabulary_size: int,
        grammar: "GrammarState | None" = None,
    ) -> None:
        self.settings = settings
        self._grammar = grammar
        self._random = np.random.default_rng(settings.seed)
        self._is_seen = np.zeros(vocabulary_size, np.bool_)
        self._is_seen[np.asarray(prompt, np.int64)] = True
        self._counts = np.zeros(vocabulary_size, np.int64)

    def choose(self, logits: NDArray[np.float32]) -> ChosenToken:
        """Returns the next token.

        Args:
            logits: (vocabulary,).
        """
        token = self._greedy(logits) if self.settings.temperature == 0 else self._drawn(logits)
        if self._grammar is not None:
            self._grammar.take(token)
        self._is_seen[token] = True
        self._counts[token] += 1
        if self.settings.logprobs is None:
            return ChosenToken(token)
        logs = log_softmax(logits)
        likeliest = _likeliest(logs, self.settings.logprobs)
        return ChosenToken(token, float(logs[token]), tuple((int(one), float(logs[one])) for one in likeliest))

    def _greedy(self, logits: NDArray[np.float32]) -> int:
        return int(np.argmax(self._allowed(logits)))

    def _drawn(self, logits: NDArray[np.float32]) -> int:
        cumulated = np.cumsum(self.probabilities(logits))
        drawn = self._random.random() * cumulated[-1]
        return int(np.searchsorted(cumulated, drawn, side="right"))

    def probabilities(self, logits: NDArray[np.float32]) -> Floats:
        """Returns what each token is drawn by, as fractions of the likeliest one's probability, (vocabulary,).

        Args:
            logits: (vocabulary,).
        """
        settings = self.settings
        scores = self._allowed(logits).astype(np.float64)
        with np.errstate(over="ignore"):  # a tiny temperature leaves the likeliest token alone
            found: Floats = np.exp((scores - scores.max()) / settings.temperature)
        if settings.top_k:
            found = _top_k(found, settings.top_k)
        if settings.top_p < 1:
            found = _top_p(found, settings.top_p)
        if settings.min_p:
            found = np.where(found < settings.min_p, 0.0, found)
        return found

    def _allowed(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns logits after bias, penalties and grammar; the very same where there are none."""
        found = self._penalized(logits)
        return found if self._grammar is None else self._grammar.masked(found)

    def _penalized(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        settings, found = self.settings, logits
        if settings.logit_bias:
            found = found.copy()
            found[list(settings.logit_bias)] += np.array(list(settings.logit_bias.values()), np.float32)
        if settings.repetition_penalty != 1:
            factor = np.float32(settings.repetition_penalty)
            found = np.where(self._is_seen, np.where(found > 0, found / factor, found * factor), found)
        if settings.presence_penalty or settings.frequency_penalty:
            present = settings.presence_penalty * (self._counts > 0) + settings.frequency_penalty * self._counts
            found = found - present.astype(np.float32)
        return found


def log_softmax(logits: NDArray[np.float32]) -> Floats:
    """Returns log probabilities: z − log Σ exp(z), along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def _top_k(probabilities: Floats, count: int) -> Floats:
    """Keeps the largest ones; those equal to the last of them as well."""
    if count >= len(probabilities):
        return probabilities
    smallest = np.partition(probabilities, -count)[-count]
    return np.where(probabilities < smallest, 0.0, probabilities)


def _top_p(probabilities: Floats, mass: float) -> Floats:
    """Keeps the largest ones up to and including that with which their sum reaches a fraction of all."""
    wanted, count = mass * probabilities.sum(), SORTED_AT_ONCE
    order = _likeliest(probabilities, count)
    while probabilities[order].sum() < wanted and count < len(probabilities):
        count *= 8
        order = _likeliest(probabilities, count)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    kept = np.zeros_like(probabilities)
    inside = order[before < wanted]
    kept[inside] = probabilities[inside]
    return kept


def _likeliest(values: Floats, count: int) -> NDArray[np.int64]:
    """Returns the ids of the largest values, the largest first and equal ones by id; all where there are fewer."""
    candidates = np.arange(len(values) if count else 0)
    if 0 < count < len(values):
        candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
