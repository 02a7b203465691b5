"""Histogram gradient boosting, with thresholds in float64 and splits by category.

skl2onnx knows no splits by category, and its converter fails under protobuf 7.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from maas.importing.estimators.category_splits import SPLIT, CategorySplits
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import EstimatorGraphBuilder, GraphTable, both_probabilities
from maas.importing.estimators.trees import Branches, sums_of_leaves


@add_estimator.register(HistGradientBoostingClassifier)
@add_estimator.register(HistGradientBoostingRegressor)
def _boosted(
    estimator: HistGradientBoostingClassifier | HistGradientBoostingRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    predictors = [(one, target) for stage in estimator._predictors for target, one in enumerate(stage)]  # noqa: SLF001
    columns, categories = _columns_of(estimator, table)
    splits = CategorySplits(table, categories)
    trees = [_branches(predictor, columns, splits) for predictor, _ in predictors]
    for tree in trees:
        own = ~tree.is_leaf & (tree.column < table.width)
        builder.note(table.value, tree.column[own], tree.threshold[own])
    leaves = [one.nodes["value"][one.nodes["is_leaf"].astype(bool)] for one, _ in predictors]
    start = estimator._baseline_prediction  # noqa: SLF001
    raw = sums_of_leaves(trees, leaves, [target for _, target in predictors], splits.add_nodes(builder), builder, start)
    if method == "predict_proba":
        return (
            builder.add("Softmax", raw, axis=1)
            if estimator.n_trees_per_iteration_ > 1
            else both_probabilities(builder, raw)
        )
    is_log = method == "predict" and type(estimator._loss.link).__name__ == "LogLink"  # noqa: SLF001
    return builder.add("Exp", raw) if is_log else raw


class HistogramTree(Protocol):
    """What is read of a tree of histogram boosting: a structured array of its nodes, and sets of categories as bits."""

    nodes: NDArray[Any]
    raw_left_cat_bitsets: NDArray[np.uint32]


def _columns_of(estimator: BaseEstimator, table: GraphTable) -> tuple[NDArray[np.int64], dict[int, list[float]]]:
    """Returns which column of the table each of the estimator's is, and how the table writes the categories of some."""
    is_categorical = estimator.is_categorical_
    if is_categorical is None:
        return np.arange(table.width), {}
    categorical = np.flatnonzero(is_categorical)  # the estimator reads columns of categories first
    encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    categories = {
        int(column): _values(known, table.texts.get(int(column)))
        for column, known in zip(categorical, encoder.categories_, strict=True)
    }
    return np.concatenate([categorical, np.flatnonzero(~np.asarray(is_categorical))]), categories


def _branches(predictor: HistogramTree, columns: NDArray[np.int64], splits: CategorySplits) -> Branches:
    """Returns a tree; its splits by category are kept to be drawn."""
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    column = np.where(is_leaf, 0, columns[np.where(is_leaf, 0, nodes["feature_idx"])])
    threshold = np.where(is_leaf, 0.0, nodes["num_threshold"])
    for index in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf):
        node = nodes[index]
        left = members(predictor.raw_left_cat_bitsets[node["bitset_idx"]], len(splits.categories[column[index]]))
        other = not node["missing_go_to_left"]  # an unknown category is a missing one
        column[index] = splits.add(int(column[index]), ~left, unknown=other, missing=other)
        threshold[index] = SPLIT
    missing_left = nodes["missing_go_to_left"].astype(bool)
    return Branches(is_leaf, nodes["left"].astype(int), nodes["right"].astype(int), column, threshold, missing_left)


def _values(known: NDArray[Any], texts: tuple[str | None, ...] | None) -> list[float]:
    """Returns how a table writes each category that an encoder knows; NaN for one that a table cannot hold."""
    present = [one for one in known if one is not None and one == one]  # noqa: PLR0124 - NaN alone differs from itself
    if texts is None:
        return [float(one) for one in present]
    places = {text: float(place) for place, text in enumerate(texts) if text is not None}
    return [places.get(one, np.nan) for one in present]


def members(bits: NDArray[np.uint32], count: int) -> NDArray[np.bool_]:
    """Returns which of the first `count` members of a set are in it.

    Args:
        bits: 32 members a word, (words,); a member beyond them is not in the set.
        count: C.
    """
    codes = np.arange(count)
    padded = np.append(bits, np.zeros(1 + count // 32, dtype=bits.dtype))
    found: NDArray[np.bool_] = (padded[codes // 32] >> (codes % 32).astype(padded.dtype)) & 1 == 1
    return found
