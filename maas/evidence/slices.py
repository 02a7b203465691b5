"""Parts of the rows, and what is lost on each: a mean hides that one label pays for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.judges.base import BaseJudge, Predictions
from maas.records.evidence import Slice


def slices(
    judge: BaseJudge, targets: NDArray[Any] | None, labels: Sequence[str], parent: Predictions, child: Predictions
) -> list[Slice]:
    """Returns a model's metric drop on the rows of each label, in percentage points; none where there are no labels.

    Args:
        judge: of this kind of answer.
        targets: (N,), numbers of labels.
        labels: the K names.
        parent: plain numbers of the one, (N, K).
        child: of the other.
    """
    if targets is None or not len(labels):
        return []
    targets = np.asarray(targets)
    before, after = (judge.agrees(judge.plain(targets), one).astype(np.float64) for one in (parent, child))
    return [
        Slice(str(name), int(among.sum()), 100 * float((before - after)[among].mean()))
        for label, name in enumerate(labels)
        if (among := targets == label).any()
    ]
