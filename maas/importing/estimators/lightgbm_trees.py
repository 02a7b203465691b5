"""Estimators of LightGBM: thresholds, leaves and their sums in float64, in the order in which LightGBM adds them up.

What LightGBM saves of itself is read, its text, which keeps every digit. Not written are linear trees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError
from maas.importing.estimators.category_splits import SPLIT, CategorySplits
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.histograms import members
from maas.importing.estimators.table import (
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    joined,
    number,
    one_column,
)
from maas.importing.estimators.trees import Branches, sums_of_leaves
from maas.importing.lightgbm_file import LightGBMClassifier, LightGBMRegressor, categories_in, header_of, trees_in

try:
    from lightgbm import LGBMModel
except ImportError as error:
    raise ImportError("lightgbm is not installed. In a checkout of maas: pip install '.[boosting]'") from error

Fields: TypeAlias = Mapping[str, str]
"""Of a tree: name → numbers, separated by spaces."""

IS_CATEGORICAL, DEFAULT_LEFT = 1, 2
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2
"""Bits of a node's `decision_type`: its kind, where what is missing goes, and (shifted by 2) what is missing."""
LARGEST_ZERO = float(np.float32(1e-35))
"""The largest number that LightGBM takes for zero."""
LIGHTGBM_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg")
LIGHTGBM_EXPONENTIAL = ("poisson", "gamma", "tweedie")
LIGHTGBM_LOGISTIC = ("binary", "cross_entropy")


@add_estimator.register(LGBMModel)
def _of_estimator(
    estimator: LGBMModel, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    return _boosted(estimator.booster_.model_to_string(), table, builder, method)


@add_estimator.register(LightGBMClassifier)
@add_estimator.register(LightGBMRegressor)
def _of_file(
    estimator: LightGBMClassifier | LightGBMRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    return _boosted(estimator.text, table, builder, method)


def _boosted(text: str, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod) -> str:
    header, trees = header_of(text), trees_in(text)
    splits = CategorySplits(table, _categories_of(text, table, trees), truncates=True)
    drawn = [_drawn(fields, splits) for fields in trees]
    for one in drawn:
        own = ~one.branches.is_leaf & (one.branches.column < table.width)
        builder.note(table.value, one.branches.column[own], one.branches.threshold[own])
    value = splits.add_nodes(builder)
    if any(one.zero_is_missing.any() for one in drawn):
        value = joined([value, _without_zeros(table.value, builder)], builder)
    branches = [one.beside(splits.width) for one in drawn]
    per_iteration = int(header["num_tree_per_iteration"])
    targets = [place % per_iteration for place in range(len(trees))]
    sums = sums_of_leaves(branches, [_numbers(fields, "leaf_value") for fields in trees], targets, value, builder)
    if "average_output" in header:
        sums = builder.add("Div", sums, number(builder, len(trees) // per_iteration))
    return _linked(header.get("objective", "").split(), sums, builder, method)


@dataclass(frozen=True)
class _Drawn:
    """A tree, and which of its nodes take zero for missing, bool (M,)."""

    branches: Branches
    zero_is_missing: NDArray[np.bool_]

    def beside(self, width: int) -> Branches:
        """Returns the tree where such nodes read a column that has no zeros, that many columns further on."""
        tree = self.branches
        column = np.where(self.zero_is_missing, tree.column + width, tree.column)
        return Branches(tree.is_leaf, tree.left, tree.right, column, tree.threshold, tree.missing_left)


def _categories_of(text: str, table: GraphTable, trees: Sequence[Fields]) -> dict[int, list[float]]:
    """Returns for each column that a tree splits by category how the table writes each of LightGBM's codes."""
    most = max((32 * max(np.diff(_numbers(one, "cat_boundaries", np.int64)), default=0) for one in trees), default=0)
    columns = sorted({int(column) for one in trees for column in _categorical_columns(one)})
    known = dict(zip(sorted(table.texts), categories_in(text), strict=False))
    found = {}
    for column in columns:
        places = {text: float(place) for place, text in enumerate(table.texts.get(column, ())) if text is not None}
        codes = [float(code) for code in range(int(most))]
        found[column] = [places.get(one, np.nan) for one in known[column]] if column in table.texts else codes
    return found


def _categorical_columns(fields: Fields) -> NDArray[np.int64]:
    kinds = _numbers(fields, "decision_type", np.int64)
    columns: NDArray[np.int64] = _numbers(fields, "split_feature", np.int64)[(kinds & IS_CATEGORICAL) != 0]
    return columns


def _drawn(fields: Fields, splits: CategorySplits) -> _Drawn:
    """Returns a tree, its branching nodes before its leaves; its splits by category are kept to be drawn.

    Raises:
        ExportError: its leaves are linear models.
    """
    if int(fields.get("is_linear", "0")):
        raise ExportError("LightGBM's linear trees cannot be exported. Set linear_tree=false.")
    count = int(fields["num_leaves"])
    kinds, thresholds = _numbers(fields, "decision_type", np.int64), _numbers(fields, "threshold")
    columns = _numbers(fields, "split_feature", np.int64)
    what = (kinds >> 2) & 3
    missing_left = np.where(what == 0, thresholds >= 0, (kinds & DEFAULT_LEFT) != 0)  # else NaN is read as 0
    for node in np.flatnonzero(kinds & IS_CATEGORICAL):
        goes_right = ~members(_bits(fields, int(thresholds[node])), len(splits.categories[columns[node]]))
        columns[node] = splits.add(int(columns[node]), goes_right, unknown=True, missing=True)
        thresholds[node], what[node] = SPLIT, 0
    leaves, none = np.zeros(count), np.zeros(count, dtype=bool)
    left, right = (_children(fields, key, count) for key in ("left_child", "right_child"))
    branches = Branches(
        np.append(np.zeros(count - 1, dtype=bool), np.ones(count, dtype=bool)),
        np.append(left, leaves).astype(np.int64),
        np.append(right, leaves).astype(np.int64),
        np.append(columns, leaves).astype(np.int64),
        np.append(thresholds, leaves),
        np.append(missing_left, none),
    )
    return _Drawn(branches, np.append(what == ZERO_IS_MISSING, none))


def _children(fields: Fields, key: str, count: int) -> NDArray[np.int64]:
    """Returns the node that follows each branching one; leaves follow them, and are written as ~leaf."""
    children = _numbers(fields, key, np.int64)
    nodes: NDArray[np.int64] = np.where(children >= 0, children, count - 1 + ~children)
    return nodes


def _bits(fields: Fields, split: int) -> NDArray[np.uint32]:
    start, end = _numbers(fields, "cat_boundaries", np.int64)[split : split + 2]
    return _numbers(fields, "cat_threshold", np.uint32)[start:end]


def _numbers(fields: Fields, key: str, kind: type[np.number[Any]] = np.float64) -> NDArray[Any]:
    return np.array(fields.get(key, "").split()).astype(kind)


def _without_zeros(value: str, builder: EstimatorGraphBuilder) -> str:
    """Returns a table in which what LightGBM takes for zero is NaN."""
    is_zero = builder.add("LessOrEqual", builder.add("Abs", value), number(builder, LARGEST_ZERO))
    return builder.add("Where", is_zero, number(builder, np.nan), value)


def _linked(objective: Sequence[str], sums: str, builder: EstimatorGraphBuilder, method: EstimatorMethod) -> str:
    """Returns probabilities, float64 (N, K), or values, (N, 1).

    Args:
        objective: its name and settings, as the file has them; none of a function of the user's own.
        sums: sums of leaves, (N, K).
        builder: builder that takes the nodes.
        method: what is wanted.

    Raises:
        ExportError: the objective gives something else.
    """
    name = objective[0] if objective else "none"
    settings = dict(one.partition(":")[::2] for one in objective[1:])
    if name == "multiclass" and method == "predict_proba":
        return builder.add("Softmax", sums, axis=1)
    if name in LIGHTGBM_LOGISTIC:
        both = both_probabilities(builder, builder.add("Mul", sums, number(builder, float(settings.get("sigmoid", 1)))))
        return both if method == "predict_proba" else one_column(builder, both, 1)
    if name in LIGHTGBM_IDENTITY and "sqrt" in objective and method == "predict":
        return builder.add("Mul", sums, builder.add("Abs", sums))  # sign(x) · x²
    if name in (*LIGHTGBM_IDENTITY, "none") and method == "predict":
        return sums
    if name in LIGHTGBM_EXPONENTIAL and method == "predict":
        return builder.add("Exp", sums)
    wanted = ("binary", "multiclass") if method == "predict_proba" else (*LIGHTGBM_IDENTITY, *LIGHTGBM_EXPONENTIAL)
    raise ExportError(
        f"LightGBM's objective {name} cannot be exported where {method} is wanted. Take one of {', '.join(wanted)}."
    )
