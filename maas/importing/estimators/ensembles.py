"""Estimators that are made of other estimators."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.semi_supervised import SelfTrainingClassifier

from maas.errors import ExportError
from maas.importing.blending import BlendedClassifier, BlendedRegressor
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import (
    DOUBLE,
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


@add_estimator.register(BaseSearchCV)
def _searched(
    estimator: BaseSearchCV, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    return add_estimator(estimator.best_estimator_, table, builder, method)


@add_estimator.register(FixedThresholdClassifier)
@add_estimator.register(TunedThresholdClassifierCV)
@add_estimator.register(SelfTrainingClassifier)
@add_estimator.register(RANSACRegressor)
@add_estimator.register(BlendedClassifier)
@add_estimator.register(BlendedRegressor)
def _wrapped(
    estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    return add_estimator(estimator.estimator_, table, builder, method)


@add_estimator.register(FrozenEstimator)
def _frozen(
    estimator: FrozenEstimator, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    return add_estimator(estimator.estimator, table, builder, method)


@add_estimator.register(SelectorMixin)
def _selected(estimator: SelectorMixin, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    return table.picked(np.flatnonzero(estimator.get_support()), builder).value


@add_estimator.register(VotingClassifier)
@add_estimator.register(VotingRegressor)
def _voted(
    estimator: VotingClassifier | VotingRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    votes = [add_estimator(one, table, builder, method) for one in estimator.estimators_]
    weights = estimator._weights_not_none or [1] * len(votes)  # noqa: SLF001
    return _weighted(votes, np.asarray(weights, dtype=np.float64) / np.sum(weights), builder)


@add_estimator.register(BaggingRegressor)
@add_estimator.register(BaggingClassifier)
def _bagged(
    estimator: BaggingRegressor | BaggingClassifier,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    found = []
    for one, columns in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        part = table.picked(columns, builder)
        if method == "predict_proba":
            found.append(
                _spread(add_estimator(one, part, builder, method), one.classes_, estimator.n_classes_, builder)
            )
        else:
            found.append(add_estimator(one, part, builder, method))
    return mean(builder, found)


def _spread(value: str, classes: Sequence[int], count: int, builder: EstimatorGraphBuilder) -> str:
    """Returns probabilities of all classes from those that one estimator has met."""
    if len(classes) == count:
        return value
    places = np.zeros((len(classes), count))
    places[np.arange(len(classes)), np.asarray(classes, dtype=int)] = 1
    return builder.add("MatMul", value, number(builder, places))


@add_estimator.register(StackingClassifier)
@add_estimator.register(StackingRegressor)
def _stacked(
    estimator: StackingClassifier | StackingRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    found, width = [], 0
    classes = len(getattr(estimator, "classes_", ()))
    for one, way in zip(estimator.estimators_, estimator.stack_method_, strict=True):
        if way == "predict" and classes:
            raise ExportError(
                f"StackingClassifier stacks labels of {type(one).__name__}; stack probabilities or decision functions."
            )
        columns = 1 if way == "predict" or classes == 2 else classes
        value = add_estimator(one, table, builder, way)
        if way == "predict_proba" and classes == 2:  # the other one adds nothing
            value = one_column(builder, value, 1)
        found.append(value)
        width += columns
    if estimator.passthrough:
        found.append(table.value)
        width += table.width
    return add_estimator(estimator.final_estimator_, GraphTable(joined(found, builder), width), builder, method)


@add_estimator.register(OneVsRestClassifier)
def _one_against_others(
    estimator: OneVsRestClassifier, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    if method != "predict_proba":
        return joined([add_estimator(one, table, builder, method) for one in estimator.estimators_], builder)
    found = [one_column(builder, add_estimator(one, table, builder, method), 1) for one in estimator.estimators_]
    if len(found) == 1:
        found = [builder.add("Sub", number(builder, 1), found[0]), *found]
    return normalised(builder, joined(found, builder), np.zeros((1, len(found))))


@add_estimator.register(AdaBoostClassifier)
def _boosted(
    estimator: AdaBoostClassifier, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    count, places = estimator.n_classes_, number(builder, np.arange(float(estimator.n_classes_))[None])
    votes = []
    for one in estimator.estimators_:
        chosen = builder.add("ArgMax", add_estimator(one, table, builder, "predict_proba"), axis=1, keepdims=1)
        is_chosen = builder.add("Cast", builder.add("Equal", builder.add("Cast", chosen, to=DOUBLE), places), to=DOUBLE)
        # 1 for the chosen label, -1 / (K - 1) for each other one
        scaled = builder.add("Mul", is_chosen, number(builder, count / (count - 1)))
        votes.append(builder.add("Sub", scaled, number(builder, 1 / (count - 1))))
    weights = np.asarray(estimator.estimator_weights_[: len(votes)], dtype=np.float64)
    decision = _weighted(votes, weights / np.sum(estimator.estimator_weights_), builder)  # (N, K)
    if count == 2:
        second = builder.add("Mul", one_column(builder, decision, 1), number(builder, 2))
        return both_probabilities(builder, second) if method == "predict_proba" else second
    if method != "predict_proba":
        return decision
    return builder.add("Softmax", builder.add("Div", decision, number(builder, count - 1)), axis=1)


@add_estimator.register(AdaBoostRegressor)
def _weighted_median(
    estimator: AdaBoostRegressor, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    count = len(estimator.estimators_)
    found = joined([add_estimator(one, table, builder, "predict") for one in estimator.estimators_], builder)  # (N, T)
    ordered, places = builder.add_two("TopK", found, builder.constant([count], np.int64), axis=1, largest=0)
    weights = builder.add("Gather", number(builder, estimator.estimator_weights_[:count]), places, axis=0)
    passed = builder.add("CumSum", weights, builder.constant(1, np.int64))
    half = builder.add("Mul", total(builder, weights), number(builder, 0.5))
    is_reached = builder.add("Cast", builder.add("GreaterOrEqual", passed, half), to=DOUBLE)
    place = builder.add("ArgMax", is_reached, axis=1, keepdims=1)  # the first of them
    return builder.add("GatherElements", ordered, place, axis=1)


def _weighted(values: Sequence[str], weights: NDArray[np.float64], builder: EstimatorGraphBuilder) -> str:
    """Returns the sum of equal shapes, each times its weight."""
    found = [builder.add("Mul", one, number(builder, weight)) for one, weight in zip(values, weights, strict=True)]
    return found[0] if len(found) == 1 else builder.add("Sum", *found)
