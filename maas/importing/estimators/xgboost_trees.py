"""Estimators of XGBoost: thresholds, leaves and their sums in float32, in the order in which XGBoost adds them up.

What XGBoost saves of itself is read, its JSON, which keeps every digit. Not written are linear boosters and trees of
several outputs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError
from maas.importing.estimators.category_splits import SPLIT, CategorySplits
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import (
    DOUBLE,
    FLOAT,
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    number,
    one_column,
)
from maas.importing.estimators.trees import Branches, sums_of_leaves

try:
    from xgboost import XGBModel
except ImportError as error:
    raise ImportError("xgboost is not installed. In a checkout of maas: pip install '.[boosting]'") from error

SavedPart: TypeAlias = Mapping[str, Any]
"""A part of XGBoost's JSON."""

XGBOOST_IDENTITY = (
    *("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror"),
    *("rank:pairwise", "rank:ndcg", "rank:map"),
)
XGBOOST_LOGISTIC = ("binary:logistic", "reg:logistic")
XGBOOST_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
XGBOOST_SOFTMAX = ("multi:softprob", "multi:softmax")
"""What each objective makes of the sum of leaves."""


@add_estimator.register(XGBModel)
def _boosted(estimator: XGBModel, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod) -> str:
    learner = _learner_of(estimator)
    trees, scales, targets = _trees_of(learner)
    known = replace(table, value=_with_missing(estimator, table.value, builder))
    splits = CategorySplits(known, _categories_of(learner, table, trees), truncates=True)
    branches = [_branches(tree, table, splits) for tree in trees]
    for tree in branches:
        own = ~tree.is_leaf & (tree.column < table.width)
        builder.note(table.value, tree.column[own], tree.threshold[own])
    leaves = [
        np.array(tree["split_conditions"], dtype=np.float32)[one.is_leaf] * scale
        for tree, one, scale in zip(trees, branches, scales, strict=True)
    ]
    objective, groups = str(learner["objective"]["name"]), max(1, int(learner["learner_model_param"]["num_class"]))
    value = builder.add("Cast", splits.add_nodes(builder), to=FLOAT)
    start = _start_of(learner, objective, groups)
    sums = sums_of_leaves(
        branches, leaves, targets, value, builder, start, kind=np.float32, is_strict=True
    )  # a value that equals a threshold goes to the right
    return _linked(objective, builder.add("Cast", sums, to=DOUBLE), builder, method)


def _learner_of(estimator: XGBModel) -> SavedPart:
    """Returns what XGBoost saves of the iterations that it predicts with."""
    booster = estimator.get_booster()
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    learner: SavedPart = json.loads(bytes(booster.save_raw("json")))["learner"]
    return learner


def _trees_of(learner: SavedPart) -> tuple[Sequence[SavedPart], Sequence[np.float32], Sequence[int]]:
    """Returns trees, what the leaves of each are multiplied by, and the target that each adds to.

    Raises:
        ExportError: it is made of something else, or predicts several targets.
    """
    booster = learner["gradient_booster"]
    if booster["name"] not in ("gbtree", "dart"):
        raise ExportError(
            f"XGBoost's booster {booster['name']} cannot be exported: trees alone can be. Set booster=gbtree, or take "
            "a linear model of scikit-learn."
        )
    model = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    if int(learner["learner_model_param"].get("num_target", 1)) > 1:
        raise ExportError("XGBoost predicts several targets; a bundle answers with one. Train one model for each.")
    trees: Sequence[SavedPart] = model["trees"]
    scales = booster["weight_drop"] if booster["name"] == "dart" else [1.0] * len(trees)
    return trees, [np.float32(scale) for scale in scales], list(map(int, model["tree_info"]))


def _categories_of(learner: SavedPart, table: GraphTable, trees: Sequence[SavedPart]) -> dict[int, list[float]]:
    """Returns for each column of categories how the table writes each of XGBoost's codes.

    A frame's categories have the codes of their order in it, and position 0 of a table is a missing one.
    """
    kinds = learner.get("feature_types") or []
    largest = max((max(tree["categories"], default=0) for tree in trees), default=0)
    return {
        column: [float(code + 1) for code in range(len(table.texts[column]) - 1)]
        if column in table.texts
        else [float(code) for code in range(largest + 1)]
        for column, kind in enumerate(kinds)
        if kind == "c"
    }


def _branches(tree: SavedPart, table: GraphTable, splits: CategorySplits) -> Branches:
    """Returns a tree; its splits by category are kept to be drawn."""
    left, right = (np.array(tree[key], dtype=np.int64) for key in ("left_children", "right_children"))
    is_leaf = left == -1
    column = np.where(is_leaf, 0, np.array(tree["split_indices"], dtype=np.int64))
    threshold = np.where(is_leaf, 0.0, np.array(tree["split_conditions"], dtype=np.float32)).astype(np.float64)
    missing_left = np.array(tree["default_left"], dtype=bool)
    starts = [*tree["categories_segments"], len(tree["categories"])]
    for node, (start, end) in zip(tree["categories_nodes"], pairwise(starts), strict=True):
        place = int(column[node])
        goes_right = np.isin(np.arange(len(splits.categories[place])), tree["categories"][start:end])
        missing = not missing_left[node]
        unknown = missing and place in table.texts  # else a category that is not among these goes to the left
        column[node] = splits.add(place, goes_right, unknown=unknown, missing=missing)
        threshold[node] = SPLIT
    return Branches(is_leaf, np.where(is_leaf, 0, left), np.where(is_leaf, 0, right), column, threshold, missing_left)


def _start_of(learner: SavedPart, objective: str, groups: int) -> NDArray[np.float32]:
    """Returns what is there before the first tree, (K,), on the scale of the leaves."""
    saved = np.atleast_1d(np.array(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float32))
    if objective in XGBOOST_LOGISTIC or objective == "binary:logitraw":
        saved = -np.log(np.float32(1) / saved - np.float32(1))
    elif objective in XGBOOST_EXPONENTIAL:
        saved = np.log(saved)
    return np.broadcast_to(saved, (groups,))


def _with_missing(estimator: XGBModel, value: str, builder: EstimatorGraphBuilder) -> str:
    """Returns a table in which what the estimator takes for missing is NaN."""
    missing = float(estimator.missing)
    if np.isnan(missing):
        return value
    is_missing = builder.add("Equal", value, number(builder, missing))
    return builder.add("Where", is_missing, number(builder, np.nan), value)


def _linked(objective: str, sums: str, builder: EstimatorGraphBuilder, method: EstimatorMethod) -> str:
    """Returns probabilities, float64 (N, K), or values, (N, 1).

    Raises:
        ExportError: the objective gives something else.
    """
    if objective in XGBOOST_SOFTMAX and method == "predict_proba":
        return builder.add("Softmax", sums, axis=1)
    if objective in XGBOOST_LOGISTIC:
        both = both_probabilities(builder, sums)
        return both if method == "predict_proba" else one_column(builder, both, 1)
    if objective in XGBOOST_IDENTITY and method == "predict":
        return sums
    if objective in XGBOOST_EXPONENTIAL and method == "predict":
        return builder.add("Exp", sums)
    wanted = (
        (*XGBOOST_LOGISTIC[:1], *XGBOOST_SOFTMAX)
        if method == "predict_proba"
        else (*XGBOOST_IDENTITY, *XGBOOST_LOGISTIC[1:], *XGBOOST_EXPONENTIAL)
    )
    raise ExportError(
        f"XGBoost's objective {objective} cannot be exported where {method} is wanted. Take one of {', '.join(wanted)}."
    )
