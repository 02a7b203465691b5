"""What probabilities and values are worth: calibration, curves over thresholds, errors of numbers. Nothing is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from maas.evidence.metrics import wilson
from maas.records.evidence import Interval

BINS = 10
CURVE_POINTS = 200
"""Points of a curve that are kept, evenly spaced among its corners."""
CurveValues = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose predicted label has a probability between two bounds.

    Args:
        confidence: mean probability of the predicted label.
        right: fraction of the rows whose label is right.
        rows: number of them.
    """

    confidence: float
    right: Interval
    rows: int


def calibration_bins(confidences: CurveValues, is_right: NDArray[np.bool_]) -> list[CalibrationBin]:
    """Returns how often predictions are right, by how probable they are said to be, in ten bins of equal width.

    Args:
        confidences: probability of the predicted label, (N,).
        is_right: whether it is the true one, (N,).
    """
    places = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return [
        CalibrationBin(
            float(confidences[among].mean()), wilson(int(is_right[among].sum()), int(among.sum())), int(among.sum())
        )
        for place in range(BINS)
        if (among := places == place).any()
    ]


@dataclass(frozen=True)
class ThresholdCurve:
    """A curve over all thresholds of a probability.

    Args:
        x: from the left, (P,).
        y: (P,).
        chance: fraction of the rows that have the label.
    """

    x: CurveValues
    y: CurveValues
    chance: float


def roc_of(is_positive: NDArray[np.bool_], probabilities: CurveValues) -> ThresholdCurve:
    """Returns the true positive rate over the false positive rate.

    Args:
        is_positive: whether a row has the label, (N,); both occur.
        probabilities: of that label, (N,).
    """
    false_rates, true_rates, _ = roc_curve(is_positive, probabilities)
    return ThresholdCurve(*_thinned(false_rates, true_rates), float(is_positive.mean()))


def precision_recall_of(is_positive: NDArray[np.bool_], probabilities: CurveValues) -> ThresholdCurve:
    """Returns the precision over the recall; arguments as in `roc_of`."""
    precision, recall, _ = precision_recall_curve(is_positive, probabilities)
    return ThresholdCurve(*_thinned(recall[::-1], precision[::-1]), float(is_positive.mean()))


def confused_pairs(confusion: Sequence[Sequence[int]], most: int) -> list[tuple[int, int, int]]:
    """Returns true label, predicted label and number of rows of the most frequent mistakes.

    Args:
        confusion: counts (K, K), true labels × predicted ones.
        most: largest number of pairs.
    """
    counts = np.array(confusion)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    pairs = [(int(place // len(counts)), int(place % len(counts))) for place in order]
    return [(true, predicted, int(counts[true, predicted])) for true, predicted in pairs if counts[true, predicted]]


def _thinned(x: CurveValues, y: CurveValues) -> tuple[CurveValues, CurveValues]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).astype(int))
    return x[kept], y[kept]
