"""Which tokens are written: the likeliest one at each step, or the best of several texts that are followed at once.

Beam search: of the continuations of a text's beams by every token, in the order of their log probabilities, the first
`num_beams` that do not end stay; those that end before these are finished, with log probability / tokens to the power
of `length_penalty` as their score. A text is done once no beam can exceed its best score any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from maas.records.manifest import TimedTranscription, Translation
from maas.runtime.codec import IsWanted, ModelInputs, always_wanted
from maas.runtime.generation.sampling import log_softmax
from maas.runtime.translation.graphs import TranslationGraphs, Writing, count_of
from maas.runtime.translation.times import bar_times_


@dataclass(frozen=True)
class Hypothesis:
    """A text that may be written.

    Args:
        tokens: its tokens, the end among them where it has come.
        log_probability: the sum of its tokens', by the model.
    """

    tokens: tuple[int, ...]
    log_probability: float

    def score(self, length_penalty: float, length: int | None = None) -> float:
        """Returns what hypotheses are compared by.

        Args:
            length_penalty: power of the length.
            length: number of tokens that it is divided by; None for its own.
        """
        return float(self.log_probability / (length or len(self.tokens)) ** length_penalty)


class Beams:
    """The hypotheses of one text.

    Args:
        settings: how many are followed, and how they are compared.
    """

    def __init__(self, settings: Translation) -> None:
        self._settings = settings
        self._beams: list[Hypothesis] = [Hypothesis((), 0.0)]
        self._finished: Hypothesis | None = None

    @property
    def best(self) -> Hypothesis:
        """The best one that has ended."""
        if self._finished is None:
            raise ValueError("No hypothesis has ended.")
        return self._finished

    def give_up(self) -> None:
        """Follows none any more: nobody wants the text, which is then empty or the best so far."""
        self._beams = []
        self._finished = self._finished or Hypothesis((), 0.0)

    def bar_(self, logits: NDArray[np.float32]) -> None:
        """Makes tokens impossible that may not follow.

        Args:
            logits: after each beam, (beams, vocabulary).
        """
        for beam, row in zip(self._beams, logits, strict=False):
            bar_(row, beam.tokens, self._settings)

    def advance(self, logs: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Adds a token to each beam.

        Args:
            logs: log probabilities after each beam, (beams, vocabulary).

        Returns:
            For each beam that stays, the number of the one that it continues, and its new token; none once the text is
            done.
        """
        if not self._beams:
            return []
        count, end = self._settings.num_beams, self._settings.end_token
        totals = np.array([beam.log_probability for beam in self._beams])[:, None] + logs
        kept: list[tuple[int, int]] = []
        beams: list[Hypothesis] = []
        for place in _largest(totals.ravel(), 2 * count if count > 1 else 1):
            parent, token = divmod(int(place), logs.shape[1])
            found = Hypothesis((*self._beams[parent].tokens, token), float(totals[parent, token]))
            if token == end or len(found.tokens) == self._settings.max_tokens:
                self._finish(found)
            else:
                kept.append((parent, token))
                beams.append(found)
            if len(kept) == count:
                break
        self._beams = beams
        return [] if self._is_done else kept

    def _finish(self, found: Hypothesis) -> None:
        power = self._settings.length_penalty
        if self._finished is None or found.score(power) > self._finished.score(power):
            self._finished = found

    @property
    def _is_done(self) -> bool:
        """Whether no beam can become better than the best that has ended: what follows only lowers its probability."""
        if self._finished is None or not self._beams:
            return not self._beams
        power, most = self._settings.length_penalty, self._settings.max_tokens
        return max(beam.score(power, most) for beam in self._beams) <= self._finished.score(power)


def bar_(logits: NDArray[np.float32], written: Sequence[int], settings: Translation) -> None:
    """Makes tokens impossible, −∞, that may not follow in a text.

    Args:
        logits: (vocabulary,).
        written: tokens of the text so far.
        settings: of the text.
    """
    logits[settings.barred(is_first=not written)] = -np.inf
    if isinstance(settings, TimedTranscription):
        bar_times_(logits, written, settings)


def barred(logits: NDArray[np.float32], tokens: Sequence[int], settings: Translation) -> NDArray[np.float32]:
    """Returns the logits before each token of a text, (T, vocabulary), −∞ for those that may not be written there.

    Args:
        logits: (T, vocabulary).
        tokens: of the text; T.
        settings: of the text.
    """
    found = logits.copy()
    for place in range(len(tokens)):
        bar_(found[place], tokens[:place], settings)
    return found


def best_texts(
    graphs: TranslationGraphs,
    given: ModelInputs,
    settings: Translation | Sequence[Translation],
    is_wanted: IsWanted = always_wanted,
) -> list[Hypothesis]:
    """Returns what is written for each row that is read; each is the text that it would be alone, up to rounding.

    Args:
        graphs: of the model.
        given: inputs of the graph that reads, (N, …) each.
        settings: of all of them, or of each; all are given as many first tokens.
        is_wanted: whether a row's text is; what is not is no longer followed after the step that runs.
    """
    count = count_of(given)
    each = [settings] * count if isinstance(settings, Translation) else list(settings)
    texts = [Beams(one) for one in each]
    rows = np.arange(count)  # of each beam, the text that it belongs to
    logits, progress = first_logits(graphs, graphs.read(given), each)
    while True:
        for number in np.unique(rows).tolist():
            if not is_wanted(number):
                texts[number].give_up()
        chosen = _advanced(texts, rows, logits)
        if not len(chosen):
            return [text.best for text in texts]
        parents, tokens = chosen.T
        if not np.array_equal(parents, np.arange(len(rows))):
            is_same_text = np.array_equal(rows, rows[parents])
            rows, progress = rows[parents], progress.picked(parents, is_same_text=is_same_text)
        logits, progress = graphs.step(progress, tokens)


def first_logits(
    graphs: TranslationGraphs, progress: Writing, settings: Sequence[Translation]
) -> tuple[NDArray[np.float32], Writing]:
    """Returns the logits of the first token of each text, (N, V), and the texts with what every one begins with.

    Args:
        graphs: of the model.
        progress: N texts of which nothing is written.
        settings: of each.
    """
    for tokens in zip(*(one.first_tokens for one in settings), strict=True):
        logits, progress = graphs.step(progress, np.array(tokens, np.int64))
    return logits, progress


def _advanced(texts: Sequence[Beams], rows: NDArray[np.int64], logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Returns the row that each beam continues and its new token, (beams, 2), those of one text side by side."""
    parts = [*pairwise([*np.flatnonzero(np.diff(rows, prepend=-1)).tolist(), len(rows)])]
    for start, end in parts:
        texts[rows[start]].bar_(logits[start:end])
    logs = log_softmax(logits)
    found = [
        (start + parent, token) for start, end in parts for parent, token in texts[rows[start]].advance(logs[start:end])
    ]
    return np.array(found, np.int64).reshape(-1, 2)


def _largest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Returns the places of the largest values, the largest first, of equal ones the first first."""
    if count >= len(values):
        return np.argsort(-values, kind="stable")
    if count == 1:
        return np.array([np.argmax(values)])
    places = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return places[np.argsort(-values[places], kind="stable")][:count]
