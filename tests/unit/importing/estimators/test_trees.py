"""Trees take scikit-learn's branch: for missing values, at thresholds, for float64 numbers."""

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from maas.errors import ExportError

CLASSIFIERS = [
    DecisionTreeClassifier(max_depth=5, random_state=0),
    DecisionTreeClassifier(max_leaf_nodes=6, random_state=0),  # its nodes are not in depth-first order
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(7, random_state=0),
    ExtraTreesClassifier(7, random_state=0),
    BaggingClassifier(DecisionTreeClassifier(), 4, max_features=0.7, random_state=0),
    VotingClassifier(
        [("a", DecisionTreeClassifier()), ("b", RandomForestClassifier(3))], voting="soft", weights=[1, 3]
    ),
    StackingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", RandomForestClassifier(3))], cv=3),
    GridSearchCV(DecisionTreeClassifier(), {"max_depth": [2, 4]}, cv=3),
    OneVsRestClassifier(DecisionTreeClassifier(max_depth=3)),
    make_pipeline(FunctionTransformer(), RandomForestClassifier(3, random_state=0)),
]


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("met_missing", [True, False])
def test_probabilities_are_scikit_learns_when_values_are_missing(estimator, met_missing, wine, holes, answered):
    table, labels = wine
    estimator.fit(holes(table) if met_missing else table, labels)
    rows = np.concatenate([holes(table), table])
    found, expected = answered(estimator, rows), estimator.predict_proba(rows)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_labels_are_scikit_learns_when_most_missing_values_go_to_the_left(cancer, answered):
    """A model of skl2onnx 1.20 sends every missing value to the right, which is right for less than 0.9 of these."""
    table, labels = cancer
    gone = np.array(table)
    gone[(labels == 1)[:, None] & (np.random.default_rng(0).random(table.shape) < 0.6)] = np.nan
    forest = RandomForestClassifier(20, max_depth=4, random_state=0).fit(gone, labels)
    to_the_right = np.where(np.isnan(gone), np.finfo(np.float32).max, gone)
    expected = forest.predict(gone)
    assert (forest.predict(to_the_right) == expected).mean() < 0.9
    np.testing.assert_array_equal(answered(forest, gone).argmax(axis=1), expected)


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeRegressor(max_depth=4, random_state=0),
        RandomForestRegressor(5, random_state=0),
        ExtraTreesRegressor(5, random_state=0),
        BaggingRegressor(DecisionTreeRegressor(max_depth=3), 4, random_state=0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_values_are_scikit_learns_when_values_are_missing(estimator, diabetes, holes, answered):
    table, targets = diabetes
    estimator.fit(holes(table), targets)
    rows = np.concatenate([holes(table)[::-1], table])
    np.testing.assert_allclose(answered(estimator, rows), estimator.predict(rows), rtol=1e-14)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=4, random_state=0),
        GradientBoostingClassifier(n_estimators=4, init="zero", random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=5, random_state=0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_boosted_trees_are_scikit_learns_when_labels_are_two_or_three(estimator, wine, cancer, answered):
    for table, labels in (wine, cancer):
        estimator.fit(table, labels)
        np.testing.assert_allclose(answered(estimator, table), estimator.predict_proba(table), atol=1e-14)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingRegressor(n_estimators=5, random_state=0),
        GradientBoostingRegressor(n_estimators=5, loss="quantile", random_state=0),
        AdaBoostRegressor(DecisionTreeRegressor(max_depth=2), n_estimators=6, random_state=0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_boosted_values_are_scikit_learns_when_targets_are_large(estimator, diabetes, answered):
    table, targets = diabetes
    estimator.fit(table, targets + 1e7)
    np.testing.assert_allclose(answered(estimator, table), estimator.predict(table), rtol=1e-14)


def test_exponential_loss_is_scikit_learns_when_labels_are_two(cancer, answered):
    table, labels = cancer
    model = GradientBoostingClassifier(n_estimators=4, loss="exponential", random_state=0).fit(table, labels)
    np.testing.assert_allclose(answered(model, table), model.predict_proba(table), atol=1e-14)


def test_branches_are_scikit_learns_when_numbers_equal_thresholds(wine, answered):
    """Each threshold, the float32 numbers on both sides of it, and float64 numbers that round to one of these."""
    table, labels = wine
    tree = DecisionTreeClassifier(random_state=0).fit(table, labels)
    rows = []
    for column, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
        if column < 0:
            continue
        near = np.float32(threshold)
        beside = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]
        between = [(float(near) + float(one)) / 2 for one in beside]
        for value in [threshold, near, *beside, *between, np.nextafter(threshold, np.inf)]:
            row = table[0].copy()
            row[column] = value
            rows.append(row)
    found = answered(tree, np.array(rows))
    np.testing.assert_array_equal(found, tree.predict_proba(np.array(rows)))
    assert len(np.unique(found, axis=0)) > 1


def test_one_leaf_alone_answers_when_a_tree_has_no_branch(wine, answered):
    table, labels = wine
    for estimator in (DecisionTreeClassifier(max_depth=1), RandomForestClassifier(3, min_samples_leaf=178)):
        estimator.fit(table, labels)
        np.testing.assert_allclose(answered(estimator, table), estimator.predict_proba(table), atol=1e-15)
    constant = DecisionTreeRegressor().fit(table, np.full(len(table), 3.5))
    np.testing.assert_array_equal(answered(constant, table), 3.5)


def test_refusal_says_what_to_set_when_boosting_starts_from_an_estimator(wine, answered):
    model = GradientBoostingClassifier(n_estimators=2, init=LogisticRegression(max_iter=5000)).fit(*wine)
    with pytest.raises(ExportError) as caught:
        answered(model, wine[0])
    assert str(caught.value) == (
        "GradientBoostingClassifier starts from LogisticRegression, which cannot be exported. Set init=null."
    )


def test_refusal_gives_the_reason_when_a_tree_has_two_outputs(diabetes, answered):
    table, targets = diabetes
    model = DecisionTreeRegressor(max_depth=2).fit(table, np.stack([targets, targets], axis=1))
    with pytest.raises(ExportError) as caught:
        answered(model, table)
    assert str(caught.value) == (
        "DecisionTreeRegressor has 2 outputs; a bundle answers with one. Train one model for each."
    )
