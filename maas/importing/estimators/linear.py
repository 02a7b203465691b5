"""Linear classifiers and support vector machines in float64; ONNX's own operators for them compute in float32."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.svm._base import BaseLibSVM

from maas.errors import ExportError
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import (
    DOUBLE,
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    joined,
    normalised,
    number,
    one_column,
    total,
)


@add_estimator.register(LinearClassifierMixin)
def _linear(
    estimator: LinearClassifierMixin, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    if method == "transform":  # discriminant analysis
        centred = builder.add("Sub", table.value, number(builder, getattr(estimator, "xbar_", 0)))
        return builder.add("MatMul", centred, number(builder, estimator.scalings_[:, : estimator._max_components]))  # noqa: SLF001
    products = builder.add("MatMul", table.value, number(builder, np.atleast_2d(estimator.coef_).T))
    scores = builder.add("Add", products, number(builder, np.atleast_1d(estimator.intercept_)[None]))
    if method != "predict_proba":
        return scores
    if isinstance(estimator, SGDClassifier) and estimator.loss == "modified_huber":
        clipped = builder.add("Max", builder.add("Min", scores, number(builder, 1)), number(builder, -1))
        return _of_each(
            builder.add("Mul", builder.add("Add", clipped, number(builder, 1)), number(builder, 0.5)),
            estimator,
            builder,
        )
    if len(estimator.classes_) == 2:
        return both_probabilities(builder, scores)
    if isinstance(estimator, LogisticRegression | LinearDiscriminantAnalysis):
        return builder.add("Softmax", scores, axis=1)
    each = [
        one_column(builder, both_probabilities(builder, one_column(builder, scores, label)), 1)
        for label in range(len(estimator.classes_))
    ]
    return _of_each(joined(each, builder), estimator, builder)


def _of_each(second: str, estimator: BaseEstimator, builder: EstimatorGraphBuilder) -> str:
    """Returns probabilities of all labels from those of each against the others."""
    count = len(estimator.classes_)
    if count == 2:
        return joined([builder.add("Sub", number(builder, 1), second), second], builder)
    return normalised(builder, second, np.full((1, count), 1 / count))


@add_estimator.register(BaseLibSVM)
def _support_vectors(
    estimator: BaseLibSVM, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    if method == "predict_proba":
        raise ExportError(
            f"{type(estimator).__name__}'s own probabilities cannot be exported. Wrap it in "
            "sklearn.calibration.CalibratedClassifierCV."
        )
    kernel = _kernel(estimator, table, builder)  # (N, support vectors)
    count = len(getattr(estimator, "classes_", ()))
    weights = _of_pairs(estimator) if count > 2 else estimator.dual_coef_.T
    found = builder.add(
        "Add", builder.add("MatMul", kernel, number(builder, weights)), number(builder, estimator.intercept_[None])
    )
    if count > 2 and estimator.decision_function_shape == "ovr":
        return _against_others(found, count, builder)
    return found


def _kernel(estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder) -> str:
    vectors, gamma = np.asarray(estimator.support_vectors_), estimator._gamma  # noqa: SLF001
    if estimator.kernel not in ("linear", "rbf", "poly", "sigmoid"):
        raise ExportError(
            f"{type(estimator).__name__} has the kernel {estimator.kernel!r}, which cannot be exported. Choose one of "
            "linear, rbf, poly, sigmoid."
        )
    if estimator.kernel == "rbf":
        own, squares = (
            total(builder, builder.add("Mul", table.value, table.value)),
            number(builder, (vectors**2).sum(axis=1)),
        )
        twice = builder.add("MatMul", table.value, number(builder, 2 * vectors.T))
        distances = builder.add("Sub", builder.add("Add", own, squares), twice)
        return builder.add("Exp", builder.add("Mul", distances, number(builder, -gamma)))
    # the scale is in the weights: ONNX Runtime folds one that follows a product into a float32 attribute
    scale = 1.0 if estimator.kernel == "linear" else gamma
    products = builder.add("MatMul", table.value, number(builder, scale * vectors.T))
    if estimator.kernel == "linear":
        return products
    inner = builder.add("Add", products, number(builder, estimator.coef0))
    if estimator.kernel == "poly":
        return builder.add("Pow", inner, number(builder, estimator.degree))
    return builder.add("Tanh", inner)


def _of_pairs(estimator: BaseEstimator) -> NDArray[np.float64]:
    """Returns the weight of each support vector for each pair of labels, (S, pairs)."""
    label_of = np.repeat(np.arange(len(estimator.classes_)), estimator.n_support_)
    columns = []
    for first, second in combinations(range(len(estimator.classes_)), 2):
        weights = np.where(label_of == first, estimator.dual_coef_[second - 1], 0.0)
        columns.append(np.where(label_of == second, estimator.dual_coef_[first], weights))
    return np.stack(columns, axis=1)


def _against_others(pairs: str, count: int, builder: EstimatorGraphBuilder) -> str:
    """Returns votes of pairs for each label, and their confidences as a fraction of a vote."""
    signs = np.zeros((count * (count - 1) // 2, count))
    for place, (first, second) in enumerate(combinations(range(count), 2)):
        signs[place, first], signs[place, second] = 1, -1
    is_second = builder.add("Cast", builder.add("Less", pairs, number(builder, 0)), to=DOUBLE)
    is_first = builder.add("Sub", number(builder, 1), is_second)
    votes = builder.add(
        "Add",
        builder.add("MatMul", is_first, number(builder, np.maximum(signs, 0))),
        builder.add("MatMul", is_second, number(builder, np.maximum(-signs, 0))),
    )
    confidences = builder.add("MatMul", pairs, number(builder, signs))
    size = builder.add("Add", builder.add("Abs", confidences), number(builder, 1))
    return builder.add("Add", votes, builder.add("Div", confidences, builder.add("Mul", size, number(builder, 3))))
