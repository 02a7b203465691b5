"""Metrics of the probabilities of all labels: how well they rank rows, and how far they can be believed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.scoring.estimates import Estimate, mean_of, unbiased
from maas.scoring.names import ECE, parameter_of

Targets = NDArray[Any]
"""Positions of labels, (N,)."""
Probabilities = NDArray[Any]
"""(N, K)."""
ProbabilityMetric = Callable[[Targets, Probabilities], Estimate]


def auc(targets: Targets, probabilities: Probabilities) -> Estimate:
    """Area under the ROC curve of the second of two labels; of more labels the mean of each against the rest.

    The fraction of pairs of a row of the label and another row that are ranked rightly; ties count half. Labels without
    rows, or without others, are left out; without any label it is 0.5, about which nothing is known.

    Source:
        DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated ROC curves, 1988.
    """
    labels = [label for label in _compared(probabilities) if 0 < (targets == label).sum() < len(targets)]
    return _over(labels, _auc_of_one, targets, probabilities, otherwise=0.5)


def average_precision(targets: Targets, probabilities: Probabilities) -> Estimate:
    """Mean precision over the rows of the second of two labels; of more labels the mean of each against the rest.

    At a row, precision is that of all rows with at least its probability. Labels without rows are left out; without any
    label it is 0, about which nothing is known.
    """
    labels = [label for label in _compared(probabilities) if (targets == label).any()]
    return _over(labels, _average_precision_of_one, targets, probabilities, otherwise=0.0)


def mean_average_precision(labels: Sequence[tuple[NDArray[np.bool_], NDArray[Any]]], rows: int) -> Estimate:
    """Returns the mean over labels of their average precision; 0, about which nothing is known, where there are none.

    Args:
        labels: which rows are of each label, (N,), some of them, and their scores, (N,).
        rows: N.
    """
    value, influence = 0.0, np.zeros(rows)
    for is_own, scores in labels:
        own, moves = _average_precision_of_one(is_own, scores)
        value += own / len(labels)
        influence += moves / len(labels)
    return Estimate(value, influence, limits=(0.0, 1.0), is_known=bool(labels))


def log_loss(targets: Targets, probabilities: Probabilities) -> Estimate:
    """Mean of −ln p of the rows' own labels, in nats; p is no closer to 0 and 1 than a step of its type at 1."""
    step = np.finfo(probabilities.dtype).eps
    own = np.clip(probabilities[np.arange(len(targets)), targets], step, 1 - step)
    return mean_of(-np.log(own.astype(np.float64)))


def brier(targets: Targets, probabilities: Probabilities) -> Estimate:
    """Mean of Σ_k (p_k − y_k)²; of two labels half of it, (p − y)² of the second.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    wide = probabilities.astype(np.float64)
    own = wide[np.arange(len(targets)), targets]
    losses = (wide**2).sum(axis=1) - own**2 + (1 - own) ** 2
    return mean_of(losses / 2 if _is_of_two(probabilities) else losses)


def calibration_error(targets: Targets, probabilities: Probabilities, bins: int) -> Estimate:
    """Expected calibration error: how far accuracy and confidence lie apart, |Σ (right − p)| / N summed over bins.

    Confidence p is the largest probability of a row; bins are of equal width, each with its upper end.

    Args:
        targets: (N,)
        probabilities: (N, K)
        bins: how many.

    Source:
        Guo et al., On calibration of modern neural networks, arXiv:1706.04599, eq. 3.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    gaps = (probabilities.argmax(axis=1) == targets) - confidence
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    signs = np.sign(np.bincount(places, gaps, minlength=bins))
    errors = signs[places] * gaps
    value, rows = float(errors.mean()), len(targets)
    return Estimate(value, unbiased(errors - value, rows) / rows, limits=(0.0, 1.0))


PROBABILITY_METRICS: Mapping[str, ProbabilityMetric] = {
    "auc": auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "brier": brier,
}


def probability_metric(name: str) -> ProbabilityMetric | None:
    """Returns a metric of probabilities by its name; None where it is another kind of metric."""
    bins = parameter_of(name, ECE)
    return PROBABILITY_METRICS.get(name) if bins is None else partial(calibration_error, bins=bins)


def _is_of_two(probabilities: Probabilities) -> bool:
    return bool(probabilities.shape[1] == 2)


def _compared(probabilities: Probabilities) -> list[int]:
    """Returns the labels that are compared with the rest."""
    return [1] if _is_of_two(probabilities) else list(range(probabilities.shape[1]))


def _over(
    labels: list[int],
    of_one: Callable[[NDArray[np.bool_], NDArray[Any]], tuple[float, NDArray[np.float64]]],
    targets: Targets,
    probabilities: Probabilities,
    otherwise: float,
) -> Estimate:
    """Returns the mean over labels of a metric of one label against the rest."""
    value, influence = 0.0, np.zeros(len(targets))
    for label in labels:
        own, moves = of_one(targets == label, probabilities[:, label])
        value += own / len(labels)
        influence += moves / len(labels)
    is_known = bool(labels)
    return Estimate(value if is_known else otherwise, influence, limits=(0.0, 1.0), is_known=is_known)


def _auc_of_one(is_own: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
    places, own, others = _by_score(is_own, scores)
    owned, rest = own.sum(), others.sum()
    beaten = (others.cumsum() - others / 2) / rest  # of the other rows, by a row of the label at each score
    beating = 1 - (own.cumsum() - own / 2) / owned
    value = float(beaten @ own / owned)
    moves = unbiased(beaten - value, int(owned)) / owned, unbiased(beating - value, int(rest)) / rest
    return value, np.where(is_own, moves[0][places], moves[1][places])


def _average_precision_of_one(is_own: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
    places, own, others = _by_score(is_own, scores)
    owned, above = own.sum(), (own + others)[::-1].cumsum()[::-1]
    own_above = own[::-1].cumsum()[::-1]
    precision = own_above / above
    value = float(precision @ own / owned)
    lost = (own * own_above / above**2).cumsum()  # by another row with at least this score
    won = precision + (own / above).cumsum() - lost - value
    return value, np.where(is_own, won[places], -lost[places]) / owned


def _by_score(
    is_own: NDArray[np.bool_], scores: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns each row's place among the different scores, ascending, and how many rows of each kind are there."""
    different, places = np.unique(scores, return_inverse=True)
    own = np.bincount(places[is_own], minlength=len(different)).astype(np.float64)
    others = np.bincount(places[~is_own], minlength=len(different)).astype(np.float64)
    return places.astype(np.int64), own, others
