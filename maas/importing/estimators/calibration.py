"""Calibrated classifiers: sigmoid, isotonic, temperature.

skl2onnx takes the nearest point of an isotonic curve instead of the line between two, and knows no temperature.
"""

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from maas.importing.estimators.drawing import Method, drawn, scores
from maas.importing.estimators.table import (
    DOUBLE,
    INT64,
    Drawing,
    Table,
    joined,
    logistic,
    mean,
    normalised,
    number,
    one_column,
    total,
)

SMALLEST = 1e-12
"""What scikit-learn adds to a probability before it takes the logarithm."""


@drawn.register(CalibratedClassifierCV)
def _calibrated(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    return mean(draft, [_one(each, table, draft) for each in estimator.calibrated_classifiers_])


def _one(calibrated: Any, table: Table, draft: Drawing) -> str:
    """Returns what one pair of classifier and calibrators answers, (N, K)."""
    found, are_probabilities = scores(calibrated.estimator, table, draft)
    count = len(calibrated.classes)
    if calibrated.method == "temperature":
        return _by_temperature(calibrated.calibrators[0], found, are_probabilities, count, draft)
    if count == 2:
        score = one_column(draft, found, 1) if are_probabilities else found
        return _of_two(calibrated.calibrators[0], score, draft)
    places = [list(calibrated.classes).index(one) for one in calibrated.estimator.classes_]
    columns = {
        place: _calibrated_score(calibrator, one_column(draft, found, index), draft)
        for index, (place, calibrator) in enumerate(zip(places, calibrated.calibrators, strict=True))
    }
    zero = number(draft, [[0.0]])
    absent = draft.add("Mul", one_column(draft, found, 0), zero)
    found = joined([columns.get(place, absent) for place in range(count)], draft)
    return normalised(draft, found, np.full((1, count), 1 / count))


def _of_two(calibrator: Any, score: str, draft: Drawing) -> str:
    if not isinstance(calibrator, IsotonicRegression):
        return logistic(draft, _linear(calibrator, score, draft))
    second = isotonic(calibrator, score, draft)
    return joined([draft.add("Sub", number(draft, 1), second), second], draft)


def _calibrated_score(calibrator: Any, score: str, draft: Drawing) -> str:
    if isinstance(calibrator, IsotonicRegression):
        return isotonic(calibrator, score, draft)
    return one_column(draft, logistic(draft, _linear(calibrator, score, draft)), 1)


def _linear(calibrator: Any, score: str, draft: Drawing) -> str:
    """Returns the log-odds -(a · score + b) of sigmoid calibration."""
    return draft.add(
        "Sub", draft.add("Mul", score, number(draft, -float(calibrator.a_))), number(draft, float(calibrator.b_))
    )


def _by_temperature(calibrator: Any, found: str, are_probabilities: bool, count: int, draft: Drawing) -> str:
    if count == 2 and are_probabilities:
        second = one_column(draft, found, 1)
        found = joined([draft.add("Sub", number(draft, 1), second), second], draft)
    elif count == 2:
        found = joined([draft.add("Neg", found), found], draft)
    logits = draft.add("Log", draft.add("Add", found, number(draft, SMALLEST))) if are_probabilities else found
    return draft.add("Softmax", draft.add("Mul", logits, number(draft, float(calibrator.beta_))), axis=1)


@drawn.register(IsotonicRegression)
def _isotonic(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    return isotonic(estimator, table.value, draft)


def isotonic(curve: IsotonicRegression, score: str, draft: Drawing) -> str:
    """Returns the line between the two nearest points of a curve, (N, 1).

    Args:
        curve: fitted; below its first point and above its last one it is flat, unless it says NaN.
        score: float64 (N, 1).
        draft: takes the nodes.
    """
    x, y = np.asarray(curve.X_thresholds_, dtype=np.float64), np.asarray(curve.y_thresholds_, dtype=np.float64)
    inside = draft.add("Max", draft.add("Min", score, number(draft, x[-1])), number(draft, x[0]))
    if len(x) == 1:
        return draft.add("Add", draft.add("Mul", inside, number(draft, 0)), number(draft, y[0]))
    passed = draft.add("Cast", draft.add("GreaterOrEqual", inside, number(draft, x[None, 1:-1])), to=DOUBLE)
    place = draft.add("Cast", total(draft, passed), to=INT64) if len(x) > 2 else None
    starts, slopes = np.stack([x[:-1], y[:-1]]), np.diff(y) / np.diff(x)

    def at(values: Any) -> str:
        return number(draft, values[0]) if place is None else draft.add("Gather", number(draft, values), place, axis=0)

    beyond_start = draft.add("Sub", inside, at(starts[0]))
    found = draft.add("Add", draft.add("Mul", beyond_start, at(slopes)), at(starts[1]))
    at_end = draft.add("GreaterOrEqual", inside, number(draft, x[-1]))
    found = draft.add("Where", at_end, number(draft, y[-1]), found)
    if curve.out_of_bounds == "nan":
        is_inside = draft.add("Equal", inside, score)
        return draft.add("Where", is_inside, found, number(draft, np.nan))
    return found
