"""Classification metrics with 95 % intervals.

All metrics are functions of the counts of (target, prediction) pairs. Intervals come from resampling these counts:
the bootstrap over rows, without touching the rows again. A plain fraction has Wilson's interval.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maas.records.evidence import Interval

RESAMPLES = 2000
Z_95 = 1.959963984540054
Labels = NDArray[np.int64]
MetricValues = NDArray[np.float64]
"""A metric of each set of counts, (…); of one set, a single number."""


def accuracy(confusion: NDArray[Any]) -> MetricValues:
    """Fraction of rows whose label is right.

    Args:
        confusion: counts (…, K, K), targets × predictions.

    Returns:
        (…)
    """
    return _values(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)))


def precision(confusion: NDArray[Any]) -> MetricValues:
    """Mean over the classes of TP / (TP + FP); 0 for a class never predicted. Shapes as in `accuracy`."""
    return _values(_ratio(_true_positives(confusion), confusion.sum(axis=-2)).mean(axis=-1))


def recall(confusion: NDArray[Any]) -> MetricValues:
    """Mean over the classes of TP / (TP + FN); 0 for a class without rows. Shapes as in `accuracy`."""
    return _values(_ratio(_true_positives(confusion), confusion.sum(axis=-1)).mean(axis=-1))


def f1(confusion: NDArray[Any]) -> MetricValues:
    """Mean over the classes of 2 TP / (2 TP + FP + FN). Shapes as in `accuracy`."""
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _values(_ratio(2 * _true_positives(confusion), total).mean(axis=-1))


CLASSIFICATION_METRICS: Mapping[str, Callable[[NDArray[Any]], MetricValues]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
}


def confusion_matrix(targets: Labels, predictions: Labels, classes: int) -> NDArray[np.int64]:
    """Returns counts (K, K), targets × predictions."""
    counts = np.bincount(targets * classes + predictions, minlength=classes * classes)
    matrix: NDArray[np.int64] = counts.reshape(classes, classes)
    return matrix


def classification_metrics(targets: Labels, predictions: Labels, classes: int, seed: int = 0) -> dict[str, Interval]:
    """Returns accuracy, precision, recall and F1 (macro), each with its interval.

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
    intervals = {name: _interval(metric(confusion), metric(samples)) for name, metric in CLASSIFICATION_METRICS.items()}
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
        metric: a name in `CLASSIFICATION_METRICS`.
        seed: random seed of the resampling.
    """
    triples, counts = np.unique(np.stack([targets, parent, child]), axis=1, return_counts=True)
    of_parent = _summing(triples[0] * classes + triples[1], classes)
    of_child = _summing(triples[0] * classes + triples[2], classes)

    def drop(weights: NDArray[Any]) -> MetricValues:
        shape = (*weights.shape[:-1], classes, classes)
        return 100 * (
            CLASSIFICATION_METRICS[metric]((weights @ of_parent).reshape(shape))
            - CLASSIFICATION_METRICS[metric]((weights @ of_child).reshape(shape))
        )

    return _interval(drop(counts), drop(_resampled(counts, seed)))


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


def _true_positives(confusion: NDArray[Any]) -> NDArray[Any]:
    diagonal: NDArray[Any] = np.diagonal(confusion, axis1=-2, axis2=-1)
    return diagonal


def _values(found: ArrayLike) -> MetricValues:
    return np.asarray(found, dtype=np.float64)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[Any]:
    fractions: NDArray[Any] = np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
    return fractions


def _resampled(counts: NDArray[Any], seed: int) -> NDArray[np.int64]:
    total = int(counts.sum())
    samples: NDArray[np.int64] = np.random.default_rng(seed).multinomial(total, counts / total, size=RESAMPLES)
    return samples


def _summing(cells: Labels, classes: int) -> NDArray[np.int64]:
    """Returns a matrix (triples, K·K) that adds counts of triples into a confusion matrix."""
    matrix = np.zeros((len(cells), classes * classes), dtype=np.int64)
    matrix[np.arange(len(cells)), cells] = 1
    return matrix


def _interval(value: MetricValues, samples: MetricValues) -> Interval:
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
