"""How many edits turn one text into another, in words and in characters: what error rates of transcripts count."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

EditCounts: TypeAlias = NDArray[np.int64]
"""Of N pairs of texts, (N, 5): edits of words, words, edits of characters, characters, and 1 where they differ."""


def edit_distance(reference: Sequence[str], found: Sequence[str]) -> int:
    """Returns the fewest insertions, deletions and substitutions that turn one sequence into another.

    A row of the table is computed at once: d_j = min over k ≤ j of e_k + (j − k), where e are the costs without
    insertions.

    Args:
        reference: words, or the characters of a text.
        found: likewise.

    Source:
        Wagner and Fischer, The string-to-string correction problem, Journal of the ACM 21 (1974).

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    numbers: dict[str, int] = {}
    left, right = (np.array([numbers.setdefault(one, len(numbers)) for one in part]) for part in (reference, found))
    steps = np.arange(len(right) + 1)
    costs = steps
    for place, one in enumerate(left.tolist(), start=1):
        changed = np.minimum(costs[1:] + 1, costs[:-1] + (right != one))
        costs = np.minimum.accumulate(np.concatenate([[place], changed]) - steps) + steps
    return int(costs[-1])


def edit_counts(references: Sequence[str], found: Sequence[str]) -> EditCounts:
    """Returns the edits between texts, pair by pair, and how long the references are.

    Blanks between words are characters; those around a text are not looked at.

    Args:
        references: N texts.
        found: N texts.

    Returns:
        int64 (N, 5), as `EditCounts` has them.
    """
    counts = np.zeros((len(references), 5), dtype=np.int64)
    for row, reference, text in zip(counts, references, found, strict=True):
        wanted, given = reference.strip(), text.strip()
        words = wanted.split()
        row[1], row[3] = len(words), len(wanted)
        if wanted != given:
            row[0], row[2], row[4] = edit_distance(words, given.split()), edit_distance(wanted, given), 1
    return counts
