"""Linear classifiers and support vector machines in float64; ONNX's own operators for them compute in float32."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.svm._base import BaseLibSVM

from maas.errors import ExportError
from maas.importing.estimators.drawing import Method, drawn
from maas.importing.estimators.table import (
    DOUBLE,
    Drawing,
    Table,
    joined,
    logistic,
    normalised,
    number,
    one_column,
    total,
)


@drawn.register(LinearClassifierMixin)
def _linear(estimator: Any, table: Table, draft: Drawing, method: Method) -> str:
    if method == "transform":  # discriminant analysis
        centred = draft.add("Sub", table.value, number(draft, getattr(estimator, "xbar_", 0)))
        return draft.add("MatMul", centred, number(draft, estimator.scalings_[:, : estimator._max_components]))  # noqa: SLF001
    products = draft.add("MatMul", table.value, number(draft, np.atleast_2d(estimator.coef_).T))
    scores = draft.add("Add", products, number(draft, np.atleast_1d(estimator.intercept_)[None]))
    if method != "predict_proba":
        return scores
    if isinstance(estimator, SGDClassifier) and estimator.loss == "modified_huber":
        clipped = draft.add("Max", draft.add("Min", scores, number(draft, 1)), number(draft, -1))
        return _of_each(
            draft.add("Mul", draft.add("Add", clipped, number(draft, 1)), number(draft, 0.5)), estimator, draft
        )
    if len(estimator.classes_) == 2:
        return logistic(draft, scores)
    if isinstance(estimator, LogisticRegression | LinearDiscriminantAnalysis):
        return draft.add("Softmax", scores, axis=1)
    each = [
        one_column(draft, logistic(draft, one_column(draft, scores, label)), 1)
        for label in range(len(estimator.classes_))
    ]
    return _of_each(joined(each, draft), estimator, draft)


def _of_each(second: str, estimator: Any, draft: Drawing) -> str:
    """Returns probabilities of all labels from those of each against the others."""
    count = len(estimator.classes_)
    if count == 2:
        return joined([draft.add("Sub", number(draft, 1), second), second], draft)
    return normalised(draft, second, np.full((1, count), 1 / count))


@drawn.register(BaseLibSVM)
def _support_vectors(estimator: Any, table: Table, draft: Drawing, method: Method) -> str:
    if method == "predict_proba":
        raise ExportError(
            f"{type(estimator).__name__}'s own probabilities cannot be exported. Wrap it in "
            "sklearn.calibration.CalibratedClassifierCV."
        )
    kernel = _kernel(estimator, table, draft)  # (N, support vectors)
    count = len(getattr(estimator, "classes_", ()))
    weights = _of_pairs(estimator) if count > 2 else estimator.dual_coef_.T
    found = draft.add(
        "Add", draft.add("MatMul", kernel, number(draft, weights)), number(draft, estimator.intercept_[None])
    )
    if count > 2 and estimator.decision_function_shape == "ovr":
        return _against_others(found, count, draft)
    return found


def _kernel(estimator: Any, table: Table, draft: Drawing) -> str:
    vectors, gamma = np.asarray(estimator.support_vectors_), estimator._gamma  # noqa: SLF001
    if estimator.kernel not in ("linear", "rbf", "poly", "sigmoid"):
        raise ExportError(
            f"{type(estimator).__name__} has the kernel {estimator.kernel!r}, which cannot be exported. Choose one of "
            "linear, rbf, poly, sigmoid."
        )
    if estimator.kernel == "rbf":
        own, squares = total(draft, draft.add("Mul", table.value, table.value)), number(draft, (vectors**2).sum(axis=1))
        twice = draft.add("MatMul", table.value, number(draft, 2 * vectors.T))
        distances = draft.add("Sub", draft.add("Add", own, squares), twice)
        return draft.add("Exp", draft.add("Mul", distances, number(draft, -gamma)))
    # the scale is in the weights: ONNX Runtime folds one that follows a product into a float32 attribute
    scale = 1.0 if estimator.kernel == "linear" else gamma
    products = draft.add("MatMul", table.value, number(draft, scale * vectors.T))
    if estimator.kernel == "linear":
        return products
    inner = draft.add("Add", products, number(draft, estimator.coef0))
    if estimator.kernel == "poly":
        return draft.add("Pow", inner, number(draft, estimator.degree))
    return draft.add("Tanh", inner)


def _of_pairs(estimator: Any) -> NDArray[np.float64]:
    """Returns the weight of each support vector for each pair of labels, (S, pairs)."""
    label_of = np.repeat(np.arange(len(estimator.classes_)), estimator.n_support_)
    columns = []
    for first, second in combinations(range(len(estimator.classes_)), 2):
        weights = np.where(label_of == first, estimator.dual_coef_[second - 1], 0.0)
        columns.append(np.where(label_of == second, estimator.dual_coef_[first], weights))
    return np.stack(columns, axis=1)


def _against_others(pairs: str, count: int, draft: Drawing) -> str:
    """Returns votes of pairs for each label, and their confidences as a fraction of a vote."""
    signs = np.zeros((count * (count - 1) // 2, count))
    for place, (first, second) in enumerate(combinations(range(count), 2)):
        signs[place, first], signs[place, second] = 1, -1
    is_second = draft.add("Cast", draft.add("Less", pairs, number(draft, 0)), to=DOUBLE)
    is_first = draft.add("Sub", number(draft, 1), is_second)
    votes = draft.add(
        "Add",
        draft.add("MatMul", is_first, number(draft, np.maximum(signs, 0))),
        draft.add("MatMul", is_second, number(draft, np.maximum(-signs, 0))),
    )
    confidences = draft.add("MatMul", pairs, number(draft, signs))
    size = draft.add("Add", draft.add("Abs", confidences), number(draft, 1))
    return draft.add("Add", votes, draft.add("Div", confidences, draft.add("Mul", size, number(draft, 3))))
