"""What shows only once a model is trained: by its predictions of validation rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.doctor.finding import Finding

FEWEST_PREDICTIONS = 20
"""Of validation; of fewer, all may well be of one label."""


def finding_of_predictions(scores: NDArray[Any], targets: NDArray[Any], labels: Sequence[str]) -> Finding | None:
    """Returns a finding where a classifier predicts one label for all rows: it knows which is frequent, and no more.

    Args:
        scores: (N, K), of validation rows.
        targets: int64 (N,), positions among the labels.
        labels: the K names; none where no labels are learnt.

    Source:
        Japkowicz and Stephen, The class imbalance problem, 2002.
    """
    if len(labels) < 2 or scores.ndim != 2 or scores.shape[1] != len(labels) or len(scores) < FEWEST_PREDICTIONS:
        return None
    predicted = np.unique(scores.argmax(axis=1))
    if len(predicted) > 1 or len(np.unique(targets)) < 2:
        return None
    label = labels[int(predicted[0])]
    fraction = float(np.mean(np.asarray(targets) == predicted[0]))
    return Finding(
        "warning",
        "model",
        f"it predicts {label} for all {len(scores)} validation rows, of which {fraction:.1%} are.",
        "Weigh rare labels (objective.loss.class_weights=balanced, or class_weight=balanced of an estimator), set "
        "metric=f1, train longer, or give columns by which the labels differ.",
        "one_label",
    )
