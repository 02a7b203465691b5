"""How near texts are to those that were wanted: chrF and BLEU as sacrebleu has them, and how many are the same.

Each follows from counts that add up over texts, so that its 95 % interval is of a bootstrap over texts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU

from maas.evidence.metrics import wilson
from maas.evidence.resampling import interval_of, resampled
from maas.records.evidence import Interval

CHARACTERS, WORDS = 6, 4
"""Longest n-grams that are counted: of characters by chrF, of words by BLEU."""
BETA = 2
"""How much more chrF's recall counts than its precision."""

Counts = NDArray[np.float64]
"""For each length of n-grams, how many are in the text, in the wanted one, and in both: (…, lengths, 3)."""


def translation_metrics(texts: Sequence[str], wanted: Sequence[str], seed: int = 0) -> dict[str, Interval]:
    """Returns chrf and bleu, from 0 to 100, and exact_match, a fraction.

    Args:
        texts: N texts.
        wanted: what each should be.
        seed: random seed of the resampling.
    """
    same = sum(text == one for text, one in zip(texts, wanted, strict=True))
    return {
        "chrf": _with_interval(_character_counts(texts, wanted), chrf, seed),
        "bleu": _with_interval(_counts(texts, wanted, _words(), WORDS), bleu, seed),
        "exact_match": wilson(same, len(texts)),
    }


def translation_drop(before: Sequence[str], after: Sequence[str], wanted: Sequence[str], seed: int = 0) -> Interval:
    """Returns the points of chrF that are lost from texts to others of the same rows, with a paired interval.

    Args:
        before: N texts.
        after: N texts.
        wanted: what each should be.
        seed: random seed of the resampling.
    """
    counts = np.stack([_character_counts(one, wanted) for one in (before, after)], axis=1)  # (N, 2, 6, 3)
    many = resampled(counts.reshape(len(counts), -1), seed).reshape(-1, *counts.shape[1:])
    once, drawn = (chrf(sums[..., 0, :, :]) - chrf(sums[..., 1, :, :]) for sums in (counts.sum(axis=0), many))
    return interval_of(float(once), drawn)


def chrf(counts: Counts) -> NDArray[np.float64]:
    """Returns chrF2 of all texts together, from 0 to 100, (…).

    Args:
        counts: (…, 6, 3), of n-grams of characters; blanks do not count.

    Source:
        Popović, chrF: character n-gram F-score for automatic MT evaluation, WMT 2015; averaged as sacrebleu does.
    """
    found, wanted, shared = np.moveaxis(counts, -1, 0)  # (…, 6)
    is_there = (found > 0) & (wanted > 0)
    lengths = is_there.sum(axis=-1).clip(min=1)
    precision, recall = (
        np.divide(shared, one, out=np.zeros(shared.shape), where=is_there).sum(axis=-1) / lengths
        for one in (found, wanted)
    )
    weighted = BETA**2 * precision + recall
    scores: NDArray[np.float64] = 100 * (1 + BETA**2) * precision * recall / np.where(weighted, weighted, 1.0)
    return scores


def bleu(counts: Counts) -> NDArray[np.float64]:
    """Returns BLEU of all texts together, from 0 to 100, smoothed as sacrebleu does by itself, (…).

    Args:
        counts: (…, 4, 3), of n-grams of words; each Chinese character is a word.

    Source:
        Papineni et al., BLEU, ACL 2002; Post, A call for clarity in reporting BLEU scores, arXiv:1804.08771.
    """
    flat = counts.reshape(-1, WORDS, 3).astype(int).tolist()
    scores = [_bleu(*zip(*one, strict=True)) for one in flat]
    return np.array(scores).reshape(counts.shape[:-2])


def _bleu(found: Sequence[int], wanted: Sequence[int], shared: Sequence[int]) -> float:
    made = BLEU.compute_bleu(list(shared), list(found), found[0], wanted[0], smooth_method="exp")
    return float(made.score)


def _with_interval(counts: Counts, metric: Callable[[Counts], NDArray[np.float64]], seed: int) -> Interval:
    columns = counts.reshape(len(counts), -1)
    many = resampled(columns, seed).reshape(-1, *counts.shape[1:])
    return interval_of(float(metric(counts.sum(axis=0))), metric(many))


def _counts(texts: Sequence[str], wanted: Sequence[str], cut: Callable[[str], Sequence[str]], longest: int) -> Counts:
    """Returns the counts of each pair, (N, lengths, 3)."""
    rows = [list(_shared(cut(text), cut(one), longest)) for text, one in zip(texts, wanted, strict=True)]
    return np.array(rows, dtype=np.float64)


def _character_counts(texts: Sequence[str], wanted: Sequence[str]) -> Counts:
    """Returns the counts of characters; n-grams longer than all of a wanted text do not count against precision."""
    counts = _counts(texts, wanted, _characters, CHARACTERS)
    counts[..., 0] *= counts[..., 1] > 0
    return counts


def _shared(text: Sequence[str], wanted: Sequence[str], longest: int) -> Iterator[tuple[int, int, int]]:
    for length in range(1, longest + 1):
        found, other = _ngrams(text, length), _ngrams(wanted, length)
        yield found.total(), other.total(), (found & other).total()


def _ngrams(tokens: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1))


def _characters(text: str) -> str:
    return "".join(text.split())


def _words() -> Callable[[str], list[str]]:
    tokenizer = BLEU(tokenize="zh").tokenizer
    return lambda text: str(tokenizer(text.rstrip())).split()
