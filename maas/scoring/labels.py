"""Metrics of predicted labels, as functions of the counts of (target, prediction) pairs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def balanced_accuracy(confusion: NDArray[Any]) -> MetricValues:
    """Mean of TP / (TP + FN) over the classes that have rows. Shapes as in `accuracy`."""
    rows = confusion.sum(axis=-1)
    return _values(_ratio(_true_positives(confusion), rows).sum(axis=-1) / (rows > 0).sum(axis=-1))


def mcc(confusion: NDArray[Any]) -> MetricValues:
    """Matthews' correlation of targets and predictions; 0 where either are all alike. Shapes as in `accuracy`.

    With n rows, c right ones, t_k targets and p_k predictions of class k:
    (c·n − Σ t_k p_k) / √((n² − Σ p_k²)(n² − Σ t_k²)).

    Source:
        Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004, eq. 8.
    """
    counts = confusion.astype(np.float64)  # their products leave int64 from some billions of rows
    targets, predictions, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    shared = np.trace(counts, axis1=-2, axis2=-1) * total - (targets * predictions).sum(axis=-1)
    spreads = [total**2 - (one**2).sum(axis=-1) for one in (predictions, targets)]
    return _values(_ratio(_values(shared), np.sqrt(_values(spreads[0] * spreads[1]))))


LABEL_METRICS: Mapping[str, Callable[[NDArray[Any]], MetricValues]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "balanced_accuracy": balanced_accuracy,
    "mcc": mcc,
}


def confusion_matrix(targets: Labels, predictions: Labels, classes: int) -> NDArray[np.int64]:
    """Returns counts (K, K), targets × predictions."""
    counts = np.bincount(targets * classes + predictions, minlength=classes * classes)
    matrix: NDArray[np.int64] = counts.reshape(classes, classes)
    return matrix


def _true_positives(confusion: NDArray[Any]) -> NDArray[Any]:
    diagonal: NDArray[Any] = np.diagonal(confusion, axis1=-2, axis2=-1)
    return diagonal


def _values(found: ArrayLike) -> MetricValues:
    return np.asarray(found, dtype=np.float64)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[Any]:
    fractions: NDArray[Any] = np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
    return fractions
