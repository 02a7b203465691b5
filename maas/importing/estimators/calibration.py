"""Calibrated classifiers: sigmoid, isotonic, temperature.

skl2onnx takes the nearest point of an isotonic curve instead of the line between two, and knows no temperature.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator, scores
from maas.importing.estimators.table import (
    DOUBLE,
    INT64,
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    joined,
    mean,
    normalised,
    number,
    one_column,
    total,
)

SMALLEST_PROBABILITY = 1e-12
"""What scikit-learn adds to a probability before it takes the logarithm."""


class ClassifierAndCalibrators(Protocol):
    """One of `calibrated_classifiers_`."""

    estimator: BaseEstimator
    calibrators: Sequence[BaseEstimator]
    classes: NDArray[Any]
    method: str


@add_estimator.register(CalibratedClassifierCV)
def _calibrated(
    estimator: CalibratedClassifierCV, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    return mean(builder, [_one(each, table, builder) for each in estimator.calibrated_classifiers_])


def _one(calibrated: ClassifierAndCalibrators, table: GraphTable, builder: EstimatorGraphBuilder) -> str:
    """Returns what one pair of classifier and calibrators answers, (N, K)."""
    found, are_probabilities = scores(calibrated.estimator, table, builder)
    count = len(calibrated.classes)
    if calibrated.method == "temperature":
        return _by_temperature(calibrated.calibrators[0], found, are_probabilities, count, builder)
    if count == 2:
        score = one_column(builder, found, 1) if are_probabilities else found
        return _of_two(calibrated.calibrators[0], score, builder)
    places = [list(calibrated.classes).index(one) for one in calibrated.estimator.classes_]
    columns = {
        place: _calibrated_score(calibrator, one_column(builder, found, index), builder)
        for index, (place, calibrator) in enumerate(zip(places, calibrated.calibrators, strict=True))
    }
    zero = number(builder, [[0.0]])
    absent = builder.add("Mul", one_column(builder, found, 0), zero)
    found = joined([columns.get(place, absent) for place in range(count)], builder)
    return normalised(builder, found, np.full((1, count), 1 / count))


def _of_two(calibrator: BaseEstimator, score: str, builder: EstimatorGraphBuilder) -> str:
    if not isinstance(calibrator, IsotonicRegression):
        return both_probabilities(builder, _linear(calibrator, score, builder))
    second = isotonic(calibrator, score, builder)
    return joined([builder.add("Sub", number(builder, 1), second), second], builder)


def _calibrated_score(calibrator: BaseEstimator, score: str, builder: EstimatorGraphBuilder) -> str:
    if isinstance(calibrator, IsotonicRegression):
        return isotonic(calibrator, score, builder)
    return one_column(builder, both_probabilities(builder, _linear(calibrator, score, builder)), 1)


def _linear(calibrator: BaseEstimator, score: str, builder: EstimatorGraphBuilder) -> str:
    """Returns the log-odds -(a · score + b) of sigmoid calibration."""
    return builder.add(
        "Sub", builder.add("Mul", score, number(builder, -float(calibrator.a_))), number(builder, float(calibrator.b_))
    )


def _by_temperature(
    calibrator: BaseEstimator, found: str, are_probabilities: bool, count: int, builder: EstimatorGraphBuilder
) -> str:
    if count == 2 and are_probabilities:
        second = one_column(builder, found, 1)
        found = joined([builder.add("Sub", number(builder, 1), second), second], builder)
    elif count == 2:
        found = joined([builder.add("Neg", found), found], builder)
    logits = (
        builder.add("Log", builder.add("Add", found, number(builder, SMALLEST_PROBABILITY)))
        if are_probabilities
        else found
    )
    return builder.add("Softmax", builder.add("Mul", logits, number(builder, float(calibrator.beta_))), axis=1)


@add_estimator.register(IsotonicRegression)
def _isotonic(
    estimator: IsotonicRegression, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    return isotonic(estimator, table.value, builder)


def isotonic(curve: IsotonicRegression, score: str, builder: EstimatorGraphBuilder) -> str:
    """Returns the line between the two nearest points of a curve, (N, 1).

    Args:
        curve: fitted; below its first point and above its last one it is flat, unless it is set to NaN.
        score: float64 (N, 1).
        builder: builder that takes the nodes.
    """
    x, y = np.asarray(curve.X_thresholds_, dtype=np.float64), np.asarray(curve.y_thresholds_, dtype=np.float64)
    inside = builder.add("Max", builder.add("Min", score, number(builder, x[-1])), number(builder, x[0]))
    if len(x) == 1:
        return builder.add("Add", builder.add("Mul", inside, number(builder, 0)), number(builder, y[0]))
    passed = builder.add("Cast", builder.add("GreaterOrEqual", inside, number(builder, x[None, 1:-1])), to=DOUBLE)
    place = builder.add("Cast", total(builder, passed), to=INT64) if len(x) > 2 else None
    starts, slopes = np.stack([x[:-1], y[:-1]]), np.diff(y) / np.diff(x)

    def at(values: NDArray[np.float64]) -> str:
        return (
            number(builder, values[0])
            if place is None
            else builder.add("Gather", number(builder, values), place, axis=0)
        )

    beyond_start = builder.add("Sub", inside, at(starts[0]))
    found = builder.add("Add", builder.add("Mul", beyond_start, at(slopes)), at(starts[1]))
    at_end = builder.add("GreaterOrEqual", inside, number(builder, x[-1]))
    found = builder.add("Where", at_end, number(builder, y[-1]), found)
    if curve.out_of_bounds == "nan":
        is_inside = builder.add("Equal", inside, score)
        return builder.add("Where", is_inside, found, number(builder, np.nan))
    return found
