"""Metrics of predicted labels with 95 % intervals.

All of them are functions of the counts of (target, prediction) pairs. Intervals come from resampling these counts:
the bootstrap over rows, without touching the rows again. A plain fraction has Wilson's interval.
"""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import RESAMPLES, Z_95, interval_of
from maas.records.evidence import Interval
from maas.scoring.labels import LABEL_METRICS, Labels, MetricValues, confusion_matrix


def classification_metrics(targets: Labels, predictions: Labels, classes: int, seed: int = 0) -> dict[str, Interval]:
    """Returns accuracy, macro precision, recall and F1, balanced accuracy and MCC, each with its interval.

    Accuracy, a fraction of rows, has Wilson's interval, which stays honest where every row is right; the others have
    the bootstrap's.

    Args:
        targets: (N,), in [0, K).
        predictions: (N,), in [0, K).
        classes: K.
        seed: random seed of the resampling.
    """
    confusion = confusion_matrix(targets, predictions, classes)
    samples = _resampled(confusion.ravel(), seed).reshape(-1, classes, classes)
    intervals = {name: interval_of(float(of(confusion)), of(samples)) for name, of in LABEL_METRICS.items()}
    return {**intervals, "accuracy": wilson(int(np.trace(confusion)), len(targets))}


def paired_drop(
    targets: Labels, parent: Labels, child: Labels, classes: int, *, metric: str, seed: int = 0
) -> Interval:
    """Returns by how many percentage points the child's metric lies below the parent's, on the same rows.

    Args:
        targets: (N,), in [0, K).
        parent: the parent's predictions, (N,).
        child: the child's predictions, (N,).
        classes: K.
        metric: a name in `LABEL_METRICS`.
        seed: random seed of the resampling.
    """
    codes, counts = np.unique((targets * classes + parent) * classes + child, return_counts=True)
    pairs, found = np.divmod(codes, classes)
    of_parent = _summing(pairs, classes)
    of_child = _summing(pairs // classes * classes + found, classes)

    def drop(weights: NDArray[Any]) -> MetricValues:
        shape = (*weights.shape[:-1], classes, classes)
        return 100 * (
            LABEL_METRICS[metric]((weights @ of_parent).reshape(shape))
            - LABEL_METRICS[metric]((weights @ of_child).reshape(shape))
        )

    return interval_of(float(drop(counts)), drop(_resampled(counts, seed)))


def wilson(successes: int, total: int) -> Interval:
    """Returns a fraction with its Wilson score interval.

    Source:
        Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    fraction = successes / total
    centre = (fraction + Z_95**2 / (2 * total)) / (1 + Z_95**2 / total)
    half = Z_95 / (1 + Z_95**2 / total) * sqrt(fraction * (1 - fraction) / total + Z_95**2 / (4 * total**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(
        fraction, min(fraction, low), max(fraction, high)
    )  # at 0 and 1 rounding would leave the fraction outside


def _resampled(counts: NDArray[Any], seed: int) -> NDArray[np.int64]:
    total = int(counts.sum())
    samples: NDArray[np.int64] = np.random.default_rng(seed).multinomial(total, counts / total, size=RESAMPLES)
    return samples


def _summing(cells: Labels, classes: int) -> NDArray[np.int64]:
    """Returns a matrix (triples, K·K) that adds counts of triples into a confusion matrix."""
    matrix = np.zeros((len(cells), classes * classes), dtype=np.int64)
    matrix[np.arange(len(cells)), cells] = 1
    return matrix
