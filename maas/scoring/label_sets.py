"""Metrics of predicted sets of labels; all but the ranking of rows follow from sums over rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.scoring.estimates import Estimate
from maas.scoring.probabilities import mean_average_precision

SetSums = NDArray[np.float64]
Members = NDArray[np.bool_]
"""Which labels rows have, (N, K)."""
PER_ROW = 4
"""Columns of a row as a whole; three of each label follow."""
OF_SETS = ("macro_f1", "micro_f1", "samples_f1", "subset_accuracy", "hamming_loss")
"""Metrics that follow from sums."""


def set_columns(targets: Members, predicted: Members) -> SetSums:
    """Returns what each row adds: 1, its F1, whether it is right, its fraction of wrong labels, and TP, FP and FN.

    Args:
        targets: which labels rows have, (N, K).
        predicted: which are predicted, (N, K).

    Returns:
        (N, 4 + 3 K)
    """
    own, false, missed = targets & predicted, ~targets & predicted, targets & ~predicted
    whole = targets.sum(axis=1) + predicted.sum(axis=1)
    f1 = np.divide(2 * own.sum(axis=1), whole, out=np.zeros(len(targets)), where=whole > 0)
    wrong = targets != predicted
    rows = np.stack([np.ones(len(targets)), f1, ~wrong.any(axis=1), wrong.mean(axis=1)], axis=1)
    return np.concatenate([rows, own, false, missed], axis=1).astype(np.float64)


def set_metrics(sums: SetSums) -> dict[str, NDArray[np.float64]]:
    """Returns each metric from sums (…, 4 + 3 K) of `set_columns`.

    macro_f1 is the mean over labels of 2 TP / (2 TP + FP + FN), 0 of a label that no row has and none is given;
    micro_f1 the same of TP, FP and FN of all labels together; samples_f1 the mean over rows, 0 where neither set has a
    label; subset_accuracy the fraction of rows that are wholly right; hamming_loss the fraction of wrong labels.
    """
    count = np.maximum(sums[..., 0], 1.0)
    own, false, missed = np.split(sums[..., PER_ROW:], 3, axis=-1)
    return {
        "macro_f1": _f1(own, false, missed).mean(axis=-1),
        "micro_f1": _f1(own.sum(axis=-1), false.sum(axis=-1), missed.sum(axis=-1)),
        "samples_f1": sums[..., 1] / count,
        "subset_accuracy": sums[..., 2] / count,
        "hamming_loss": sums[..., 3] / count,
    }


def average_precision_of_sets(targets: Members, probabilities: NDArray[Any]) -> Estimate:
    """Returns the mean over the labels that rows have of their average precision."""
    labels = [label for label in range(targets.shape[1]) if targets[:, label].any()]
    return mean_average_precision([(targets[:, label], probabilities[:, label]) for label in labels], len(targets))


def _f1(own: SetSums, false: SetSums, missed: SetSums) -> NDArray[np.float64]:
    whole = np.asarray(2 * own + false + missed)
    found: NDArray[np.float64] = np.divide(2 * own, whole, out=np.zeros(whole.shape), where=whole > 0)
    return found
