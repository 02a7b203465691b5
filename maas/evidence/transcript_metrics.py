"""How near transcripts are to what was said: word and character error rates, each with an interval.

Texts are compared without case and punctuation, as those who made Whisper compare texts of any language.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maas.data.edits import edit_counts
from maas.evidence.resampling import interval_of, resampled
from maas.records.evidence import Interval

ErrorColumns = NDArray[np.float64]
"""What each of N texts adds to the sums: its edits and lengths, and 1; (N, 6)."""


def transcript_metrics(texts: Sequence[str], wanted: Sequence[str], seed: int = 0) -> dict[str, Interval]:
    """Returns word_accuracy, character_accuracy, wer, cer and exact_match, each with a bootstrap over texts.

    Args:
        texts: N transcripts.
        wanted: what was said in each.
        seed: random seed of the resampling.
    """
    columns = _plain_columns(texts, wanted)
    once, many = error_rates(columns.sum(axis=0)), error_rates(resampled(columns, seed))
    return {name: interval_of(float(once[name]), many[name]) for name in once}


def transcript_drop(before: Sequence[str], after: Sequence[str], wanted: Sequence[str], seed: int = 0) -> Interval:
    """Returns the hundredths of word accuracy that are lost from transcripts to others of the same sounds.

    Args:
        before: N transcripts.
        after: N transcripts.
        wanted: what was said in each.
        seed: random seed of the resampling.
    """
    columns = np.concatenate([_plain_columns(one, wanted) for one in (before, after)], axis=1)
    width = columns.shape[1] // 2
    lost = [
        100 * (error_rates(sums[..., :width])["word_accuracy"] - error_rates(sums[..., width:])["word_accuracy"])
        for sums in (columns.sum(axis=0), resampled(columns, seed))
    ]
    return interval_of(float(lost[0]), lost[1])


def plain_words(text: str) -> str:
    """Returns a text in lower case, with a blank for each mark that is no letter or digit.

    Source:
        Radford et al., arXiv:2212.04356, appendix C, of languages other than English.

    Example:
        >>> plain_words("Turn on the light, now!")
        'turn on the light now'
    """
    kept = (" " if unicodedata.category(one)[0] in "MSP" else one for one in unicodedata.normalize("NFKC", text))
    return " ".join("".join(kept).lower().split())


def edit_columns(texts: Sequence[str], wanted: Sequence[str]) -> ErrorColumns:
    """Returns what each text adds to the sums of `error_rates`, (N, 6).

    Args:
        texts: N texts.
        wanted: what each should be.
    """
    counts = edit_counts(wanted, texts)
    return np.concatenate([counts, np.ones((len(counts), 1))], axis=1)


def error_rates(sums: ErrorColumns) -> dict[str, ErrorColumns]:
    """Returns each metric.

    WER = edits of words / words of the references, over all texts together, CER likewise of characters, as jiwer has
    them; accuracies are 1 minus these, below 0 where more is wrong than was said.

    Args:
        sums: (…, 6), of columns.
    """
    word_edits, words, edits, characters, wrong, rows = np.moveaxis(sums, -1, 0)
    words, characters, rows = (np.maximum(one, 1.0) for one in (words, characters, rows))  # few rows may draw none
    wer, cer = word_edits / words, edits / characters
    return {
        "word_accuracy": 1 - wer,
        "character_accuracy": 1 - cer,
        "wer": wer,
        "cer": cer,
        "exact_match": 1 - wrong / rows,
    }


def _plain_columns(texts: Sequence[str], wanted: Sequence[str]) -> ErrorColumns:
    return edit_columns(*([plain_words(text) for text in part] for part in (texts, wanted)))
