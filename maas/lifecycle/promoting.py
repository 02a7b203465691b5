"""How a new bundle is compared with the version that an alias points at: both answer the recipe's test rows."""

from collections.abc import Callable
from typing import Any

from maas.data.splits import Splits
from maas.errors import DataError
from maas.evidence.comparing import require_one_task
from maas.evidence.task_metrics import task_metrics_of
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval
from maas.registry.mlflow_registry import Compare
from maas.registry.promotion import Comparison
from maas.runtime.bundle import Bundle


def comparing_on(metric: str | None, load: Callable[[], Splits]) -> Compare:
    """Returns what lets two bundles answer the recipe's test rows.

    Args:
        metric: that is compared.
        load: gives the rows, once they are needed: a first version is compared with nothing.
    """

    def compare(new: Bundle, old: Bundle) -> Comparison:
        rows = load()
        if rows.record.fingerprint != new.evidence.data.fingerprint:
            raise DataError("the recipe's rows are not those that the bundle was measured on")
        require_one_task({"the new bundle": new, "the old one": old})
        task_metrics = task_metrics_of(new.manifest.postprocessor["kind"], rows.labels)
        answers = [bundle.predictor.scores(rows.test.inputs) for bundle in (new, old)]
        return compared(task_metrics, rows.test.targets, *answers, metric=str(metric))

    return compare


def compared(task_metrics: TaskMetrics, targets: Any, new: Scores, old: Scores, *, metric: str) -> Comparison:
    """Compares two bundles' answers to the same rows.

    Args:
        task_metrics: of their kind of answer.
        targets: (N,).
        new: the new bundle's plain numbers, (N, K).
        old: those of the bundle that the alias points at, (N, K).
        metric: by its name in the evidence.
    """
    value, champions = (task_metrics.compute(targets, answers)[metric].value for answers in (new, old))
    lost = task_metrics.drop(targets, old, new, metric)
    gain = Interval(0.0 - lost.value, 0.0 - lost.high, 0.0 - lost.low)  # and no nought below nought
    unit = "percentage points" if metric in task_metrics.drop_scale else "in the target's unit"
    return Comparison(metric, value, champions, gain, unit)
