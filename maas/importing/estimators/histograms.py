"""Histogram gradient boosting, with thresholds in float64 and splits by category.

skl2onnx knows no splits by category, and its converter fails under protobuf 7.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import (
    DOUBLE,
    INT64,
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    joined,
    number,
    one_column,
    total,
)
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
    splits = _Splits(estimator, table)
    trees = [splits.branches(predictor) for predictor, _ in predictors]
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


class _Splits:
    """The columns that trees branch at: the table's own, and for each split by category one that is 0 on the left.

    Args:
        estimator: fitted.
        table: input of the estimator.
    """

    def __init__(self, estimator: BaseEstimator, table: GraphTable) -> None:
        self.table = table
        is_categorical = estimator.is_categorical_
        self.categories: dict[int, list[float]] = {}
        self.columns = np.arange(table.width)
        if is_categorical is not None:  # the estimator reads columns of categories first
            categorical = np.flatnonzero(is_categorical)
            self.columns = np.concatenate([categorical, np.flatnonzero(~np.asarray(is_categorical))])
            encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
            self.categories = {
                int(column): _values(known, table.texts.get(int(column)))
                for column, known in zip(categorical, encoder.categories_, strict=True)
            }
        self.goes_right: list[tuple[int, NDArray[np.bool_]]] = []

    def branches(self, predictor: HistogramTree) -> Branches:
        """Returns a tree; its splits by category are kept to be drawn."""
        nodes = predictor.nodes
        is_leaf = nodes["is_leaf"].astype(bool)
        column = np.where(is_leaf, 0, self.columns[np.where(is_leaf, 0, nodes["feature_idx"])])
        threshold = np.where(is_leaf, 0.0, nodes["num_threshold"])
        for index in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf):
            node = nodes[index]
            left = _members(predictor.raw_left_cat_bitsets[node["bitset_idx"]], len(self.categories[column[index]]))
            right = np.append(~left, not node["missing_go_to_left"])  # an unknown category is a missing one
            self.goes_right.append((int(column[index]), right))
            column[index], threshold[index] = self.table.width + len(self.goes_right) - 1, 0.5
        missing_left = nodes["missing_go_to_left"].astype(bool)
        return Branches(is_leaf, nodes["left"].astype(int), nodes["right"].astype(int), column, threshold, missing_left)

    def add_nodes(self, builder: EstimatorGraphBuilder) -> str:
        """Returns the columns, float64 (N, D + splits by category)."""
        if not self.goes_right:
            return self.table.value
        used = sorted({column for column, _ in self.goes_right})
        drawn_splits = [self._draw_column(column, builder) for column in used]
        order = [place for one in used for place, (column, _) in enumerate(self.goes_right) if column == one]
        in_order = builder.constant(np.argsort(order), np.int64)
        return joined(
            [self.table.value, builder.add("Gather", joined(drawn_splits, builder), in_order, axis=1)], builder
        )

    def _draw_column(self, column: int, builder: EstimatorGraphBuilder) -> str:
        """Returns for each split of a column whether a row goes to the right, 0 or 1 as float64."""
        values = self.categories[column]
        known = np.stack([right for of, right in self.goes_right if of == column], axis=1)  # (categories + 1, splits)
        by_place = np.concatenate([known[-1:], known[:-1]])  # the unknown one is at 0
        one = one_column(builder, self.table.value, column)
        is_category = builder.add(
            "Cast", builder.add("Equal", one, number(builder, [values])), to=DOUBLE
        )  # (N, categories)
        places = total(builder, builder.add("Mul", is_category, number(builder, np.arange(1.0, len(values) + 1))))
        place = builder.add("Reshape", builder.add("Cast", places, to=INT64), builder.constant([-1], np.int64))
        found = builder.add("Gather", builder.constant(by_place, np.uint8), place, axis=0)  # (N, splits)
        return builder.add("Cast", found, to=DOUBLE)


def _values(known: NDArray[Any], texts: tuple[str | None, ...] | None) -> list[float]:
    """Returns how a table writes each category that an encoder knows; NaN for one that a table cannot hold."""
    present = [one for one in known if one is not None and one == one]  # noqa: PLR0124 - NaN alone differs from itself
    if texts is None:
        return [float(one) for one in present]
    places = {text: float(place) for place, text in enumerate(texts) if text is not None}
    return [places.get(one, np.nan) for one in present]


def _members(bits: NDArray[np.uint32], count: int) -> NDArray[np.bool_]:
    """Returns which of the first `count` of 256 bits are set."""
    codes = np.arange(count)
    members: NDArray[np.bool_] = (bits[codes // 32] >> (codes % 32)) & 1 == 1
    return members
