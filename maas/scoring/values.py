"""One metric as a plain number, by its name: what training watches."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.scoring.errors import error_columns, error_metrics
from maas.scoring.label_sets import average_precision_of_sets, set_columns, set_metrics
from maas.scoring.labels import LABEL_METRICS, confusion_matrix
from maas.scoring.own import OwnMetric, is_own, own_metric
from maas.scoring.probabilities import probability_metric

Value = Callable[[NDArray[Any], NDArray[Any]], float]
"""Targets (N,) and scores, (N, K) probabilities or (N,) numbers, to a metric."""


def value_for_labels(metric: str) -> Value:
    """Returns what computes a metric of probabilities (N, K)."""

    def value(targets: NDArray[Any], probabilities: NDArray[Any]) -> float:
        if of_probabilities := probability_metric(metric):
            return of_probabilities(targets, probabilities).value
        labels = probabilities.argmax(axis=1)
        if is_own(metric):
            own = own_metric(metric)
            return own.value(targets, given_to(own, probabilities, labels))
        return float(LABEL_METRICS[metric](confusion_matrix(targets, labels, probabilities.shape[1])))

    return value


def value_for_sets(metric: str) -> Value:
    """Returns what computes a metric of probabilities (N, K), of which a label is predicted from a half on."""

    def value(targets: NDArray[Any], probabilities: NDArray[Any]) -> float:
        if is_own(metric):
            own = own_metric(metric)
            found = probabilities if own.takes_scores else (probabilities >= 0.5).astype(np.int64)
            return own.value((targets > 0).astype(np.int64), found)
        if metric == "average_precision":
            return average_precision_of_sets(targets > 0, probabilities).value
        return float(set_metrics(set_columns(targets > 0, probabilities >= 0.5).sum(axis=0))[metric])

    return value


def value_for_numbers(metric: str) -> Value:
    """Returns what computes a metric of numbers (N,)."""

    def value(targets: NDArray[Any], numbers: NDArray[Any]) -> float:
        if is_own(metric):
            return own_metric(metric).value(targets, numbers)
        return float(error_metrics(error_columns(targets, numbers, [metric]).sum(axis=0), [metric])[metric])

    return value


def given_to(own: OwnMetric, probabilities: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[Any]:
    """Returns what a user's own function takes: labels (N,), or probabilities, of two labels those of the second."""
    if not own.takes_scores:
        return labels
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
