"""Trees, and what is made of them: forests, boosting.

Written as TreeEnsemble of ai.onnx.ml 5 in float64: thresholds are scikit-learn's own, a missing value goes where the
tree sends it, and leaves are added up in float64. skl2onnx writes float32 and sends every missing value to the right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import BaseDecisionTree

from maas.errors import ExportError
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import (
    DOUBLE,
    FLOAT,
    INT64,
    EstimatorGraphBuilder,
    GraphTable,
    both_probabilities,
    number,
)

BRANCH_LESS_OR_EQUAL, BRANCH_LESS = 0, 1
"""Modes of a node of TreeEnsemble: which values go to the left of a threshold."""


@dataclass(frozen=True)
class Branches:
    """One tree by its M nodes, the root first.

    Args:
        is_leaf: bool (M,).
        left: (M,) node for values up to the threshold.
        right: (M,).
        column: (M,).
        threshold: float64 (M,).
        missing_left: bool (M,), where a missing value goes.
    """

    is_leaf: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    column: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]


class FittedTree(Protocol):
    """What is read of a `tree_` of scikit-learn, of B nodes; −1 is no child."""

    children_left: NDArray[np.int64]
    children_right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_go_to_left: NDArray[np.uint8]
    value: NDArray[np.float64]


FORK = Branches(
    is_leaf=np.array([False, True, True]),
    left=np.array([1, 0, 0]),
    right=np.array([2, 0, 0]),
    column=np.zeros(3, dtype=np.int64),
    threshold=np.zeros(3),
    missing_left=np.zeros(3, dtype=bool),
)
"""A tree of one leaf, written with two that are equal: onnx's reference takes a single one for another tree's."""


def branches_of(tree: FittedTree) -> Branches:
    """Returns a `tree_` of scikit-learn."""
    is_leaf = tree.children_left == -1
    return Branches(
        is_leaf,
        np.where(is_leaf, 0, tree.children_left),
        np.where(is_leaf, 0, tree.children_right),
        np.where(is_leaf, 0, tree.feature),
        np.where(is_leaf, 0.0, tree.threshold),
        np.asarray(tree.missing_go_to_left, dtype=bool),
    )


def sums_of_leaves(
    trees: Sequence[Branches],
    leaves: Sequence[NDArray[np.floating[Any]]],
    targets: Sequence[int],
    value: str,
    builder: EstimatorGraphBuilder,
    start: NDArray[np.floating[Any]] | None = None,
    *,
    kind: type[np.floating[Any]] = np.float64,
    is_strict: bool = False,
) -> str:
    """Adds one node that adds up, for each target, the leaves that a row reaches.

    Args:
        trees: T.
        leaves: for each tree, the number at each of its leaves, in the order of its nodes.
        targets: for each tree, the target that its leaves are added to.
        value: (N, D).
        builder: builder that takes the node.
        start: for each target, the first summand, as in scikit-learn: another order of adding gives another last
            digit, and a calibrated classifier may jump there. Written as trees of one leaf.
        kind: the type of `value`, in which it is compared and leaves are added up.
        is_strict: whether a value that equals a threshold goes to the right.

    Returns:
        (N, K) of that type.
    """
    grown = [_branching(*one) for one in zip(trees, leaves, strict=True)]
    trees, leaves = [tree for tree, _ in grown], [own for _, own in grown]
    if start is not None:
        trees, leaves = [*[FORK] * start.size, *trees], [*np.repeat(np.reshape(start, (-1, 1)), 2, axis=1), *leaves]
        targets = [*range(start.size), *targets]
    return builder.add(
        "TreeEnsemble",
        value,
        domain="ai.onnx.ml",
        n_targets=max(targets) + 1,
        aggregate_function=1,
        post_transform=0,
        leaf_targetids=np.repeat(targets, [len(one) for one in leaves]).tolist(),
        leaf_weights=numpy_helper.from_array(np.concatenate(leaves).astype(kind)),
        **_nodes_of(trees, kind, BRANCH_LESS if is_strict else BRANCH_LESS_OR_EQUAL),
    )


def _branching(tree: Branches, leaves: NDArray[np.floating[Any]]) -> tuple[Branches, NDArray[np.floating[Any]]]:
    """Returns a tree whose root branches, and its leaves."""
    return (FORK, np.repeat(leaves[:1], 2)) if tree.is_leaf[0] else (tree, leaves)


def _nodes_of(trees: Sequence[Branches], kind: type[np.floating[Any]], mode: int) -> dict[str, Any]:
    """Returns the branching nodes of all trees as attributes of TreeEnsemble."""
    nodes, leaf_start, node_start, roots = [], 0, 0, []
    for tree in trees:
        roots.append(node_start)
        nodes.append(_numbered(tree, node_start, leaf_start))
        node_start += len(nodes[-1]["column"])
        leaf_start += int(tree.is_leaf.sum())
    table = {key: np.concatenate([one[key] for one in nodes]) for key in nodes[0]}
    return {
        "tree_roots": roots,
        "nodes_modes": numpy_helper.from_array(np.full(node_start, mode, dtype=np.uint8)),
        "nodes_splits": numpy_helper.from_array(table["threshold"].astype(kind)),
        "nodes_featureids": table["column"].tolist(),
        "nodes_missing_value_tracks_true": table["missing_left"].astype(int).tolist(),
        "nodes_truenodeids": table["left"].tolist(),
        "nodes_trueleafs": table["left_is_leaf"].astype(int).tolist(),
        "nodes_falsenodeids": table["right"].tolist(),
        "nodes_falseleafs": table["right_is_leaf"].astype(int).tolist(),
    }


def _numbered(tree: Branches, node_start: int, leaf_start: int) -> dict[str, NDArray[Any]]:
    """Returns a tree's branching nodes; they and its leaves are numbered apart."""
    branching = np.flatnonzero(~tree.is_leaf)
    number_of = np.where(
        tree.is_leaf, leaf_start + np.cumsum(tree.is_leaf) - 1, node_start + np.cumsum(~tree.is_leaf) - 1
    )
    left, right = tree.left[branching], tree.right[branching]
    return {
        "column": tree.column[branching],
        "threshold": tree.threshold[branching],
        "missing_left": tree.missing_left[branching],
        "left": number_of[left],
        "left_is_leaf": tree.is_leaf[left],
        "right": number_of[right],
        "right_is_leaf": tree.is_leaf[right],
    }


def means_of_leaves(trees: Sequence[FittedTree], table: GraphTable, builder: EstimatorGraphBuilder) -> str:
    """Returns the mean over trees of what stands at the leaf that a row reaches, float64 (N, K).

    Leaves of several numbers are looked up by their position, which each tree writes to a target of its own.
    """
    branches = [branches_of(tree) for tree in trees]
    value = single_precision(table, branches, builder)
    rows = [tree.value[one.is_leaf, 0, :] for tree, one in zip(trees, branches, strict=True)]
    if rows[0].shape[1] == 1:
        total = sums_of_leaves(branches, [one[:, 0] for one in rows], [0] * len(trees), value, builder)
        return builder.add("Div", total, number(builder, len(trees)))
    starts = np.cumsum([0, *(len(one) for one in rows)])
    places = [np.arange(start, end) for start, end in pairwise(starts)]
    reached = builder.add(
        "Cast", sums_of_leaves(branches, places, range(len(trees)), value, builder), to=INT64
    )  # (N, T)
    found = builder.add("Gather", number(builder, np.concatenate(rows)), reached, axis=0)  # (N, T, K)
    return builder.add("ReduceMean", found, builder.constant([1], np.int64), keepdims=0)


def single_precision(table: GraphTable, trees: Sequence[Branches], builder: EstimatorGraphBuilder) -> str:
    """Returns a table rounded to float32, as trees of scikit-learn read it, in float64."""
    for tree in trees:
        builder.note(table.value, tree.column[~tree.is_leaf], tree.threshold[~tree.is_leaf])
    return builder.add("Cast", builder.add("Cast", table.value, to=FLOAT), to=DOUBLE)


@add_estimator.register(BaseDecisionTree)
def _tree(estimator: BaseDecisionTree, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    _require_one_output(estimator)
    return means_of_leaves([estimator.tree_], table, builder)


@add_estimator.register(RandomForestClassifier)
@add_estimator.register(RandomForestRegressor)
@add_estimator.register(ExtraTreesClassifier)
@add_estimator.register(ExtraTreesRegressor)
def _forest(estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    _require_one_output(estimator)
    return means_of_leaves([one.tree_ for one in estimator.estimators_], table, builder)


@add_estimator.register(GradientBoostingClassifier)
@add_estimator.register(GradientBoostingRegressor)
def _boosted(
    estimator: GradientBoostingClassifier | GradientBoostingRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    trees = [(one.tree_, target) for stage in estimator.estimators_ for target, one in enumerate(stage)]
    branches = [branches_of(tree) for tree, _ in trees]
    value = single_precision(table, branches, builder)
    leaves = [
        tree.value[one.is_leaf, 0, 0] * estimator.learning_rate for (tree, _), one in zip(trees, branches, strict=True)
    ]
    raw = sums_of_leaves(branches, leaves, [target for _, target in trees], value, builder, _start_of(estimator))
    if method != "predict_proba":
        return raw
    if estimator.n_classes_ > 2:
        return builder.add("Softmax", raw, axis=1)
    return both_probabilities(
        builder, builder.add("Mul", raw, number(builder, 2 if estimator.loss == "exponential" else 1))
    )


def _start_of(estimator: BaseEstimator) -> NDArray[np.float64]:
    """Returns what gradient boosting starts from, (1, K)."""
    if estimator.init not in (None, "zero"):
        raise ExportError(
            f"{type(estimator).__name__} starts from {type(estimator.init).__name__}, which cannot be exported. Set "
            "init=null."
        )
    start: NDArray[np.float64] = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))  # noqa: SLF001
    return start


def _require_one_output(estimator: BaseEstimator) -> None:
    if estimator.n_outputs_ != 1:
        raise ExportError(
            f"{type(estimator).__name__} has {estimator.n_outputs_} outputs; a bundle answers with one. Train one "
            "model for each."
        )
