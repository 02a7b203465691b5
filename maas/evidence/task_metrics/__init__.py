"""Task metrics: how good predictions are, and whether two sets of them agree.

One kind of prediction, one file NAME.py with a class `NameMetrics`.
"""

import importlib
from collections.abc import Sequence

from maas.evidence.task_metrics.base import TaskMetrics

__all__ = ["TaskMetrics", "task_metrics_of"]


def task_metrics_of(
    kind: str, labels: Sequence[str], chosen: str | None = None, thresholds: Sequence[float] = ()
) -> TaskMetrics:
    """Returns the metrics of a kind of prediction.

    Args:
        kind: of the predictions, e.g. `classification`.
        labels: the K names, or the characters of texts; none where predictions are neither.
        chosen: metric of the recipe, computed beside the usual ones where it is none of them; None for no other.
        thresholds: of the postprocessor, where labels are predicted by thresholds.
    """
    metrics: type[TaskMetrics] = getattr(importlib.import_module(f"{__name__}.{kind}"), f"{kind.title()}Metrics")
    return metrics(labels, chosen, thresholds)
