"""Parts of the rows, and what is lost on each: a mean hides that one label pays for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Slice


def slices(
    task_metrics: TaskMetrics,
    targets: NDArray[Any] | None,
    labels: Sequence[str],
    parent: Scores,
    child: Scores,
) -> list[Slice]:
    """Returns a model's metric drop on the rows of each label, in percentage points; none where there are no labels.

    Args:
        task_metrics: of this kind of answer.
        targets: (N,), numbers of labels.
        labels: the K names.
        parent: plain numbers of the one, (N, K).
        child: of the other.
    """
    if targets is None or not len(labels):
        return []
    targets = np.asarray(targets)
    before, after = (
        task_metrics.agrees(task_metrics.as_scores(targets), one).astype(np.float64) for one in (parent, child)
    )
    return [
        Slice(str(name), int(among.sum()), 100 * float((before - after)[among].mean()))
        for label, name in enumerate(labels)
        if (among := targets == label).any()
    ]
