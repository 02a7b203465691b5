"""XGBoost: float32 thresholds and sums, missing values, categories, every objective that has a graph."""

import json

import numpy as np
import pandas as pd
import pytest

from maas.errors import ExportError
from maas.importing.frames import Frame

xgboost = pytest.importorskip("xgboost")


def few(kind, **settings):
    return kind(**{"n_estimators": 8, "max_depth": 4, "random_state": 0, "n_jobs": 1, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"booster": "dart", "rate_drop": 0.5},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"base_score": 0.2},
        {"gamma": 5.0},
        {"grow_policy": "lossguide", "max_leaves": 5},
    ],
)
def test_probabilities_are_xgboosts_when_values_are_missing(settings, wine, cancer, holes, answered):
    for table, labels in (wine, cancer):
        model = few(xgboost.XGBClassifier, **settings).fit(holes(table), labels)
        rows = np.concatenate([holes(table)[::-1], table, np.full((1, table.shape[1]), np.nan)])
        np.testing.assert_allclose(answered(model, rows), model.predict_proba(rows), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "objective",
    ["reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:gamma", "reg:tweedie", "count:poisson"],
)
def test_values_are_xgboosts_when_the_objective_is_another(objective, diabetes, holes, answered):
    table, targets = diabetes
    model = few(xgboost.XGBRegressor, objective=objective).fit(holes(table), targets)
    np.testing.assert_allclose(answered(model, holes(table)), model.predict(holes(table)), rtol=3e-7)


def test_sums_are_xgboosts_to_the_last_digit_when_there_are_many_trees(diabetes, answered):
    """Float64 would add the same leaves up to other float32 numbers."""
    table, targets = diabetes
    model = few(xgboost.XGBRegressor, n_estimators=300, learning_rate=0.03).fit(table, targets * 1e4)
    np.testing.assert_array_equal(answered(model, table).astype(np.float32), model.predict(table))


def test_branches_are_xgboosts_when_numbers_equal_thresholds(wine, answered):
    table, labels = wine
    model = few(xgboost.XGBClassifier).fit(table, labels)
    trees = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    rows = []
    for tree in trees:
        for left, column, threshold in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        ):
            near = np.float32(threshold)
            for value in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))):
                if left != -1:
                    row = table[len(rows) % len(table)].copy()
                    row[column] = value
                    rows.append(row)
    assert len(rows) > 100
    np.testing.assert_allclose(answered(model, np.array(rows)), model.predict_proba(np.array(rows)), atol=1e-6)


def test_iterations_after_the_best_are_left_out_when_training_stopped_early(cancer, answered):
    table, labels = cancer
    model = few(xgboost.XGBClassifier, n_estimators=200, early_stopping_rounds=3, learning_rate=0.5)
    model.fit(table[:300], labels[:300], eval_set=[(table[300:], labels[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    np.testing.assert_allclose(answered(model, table), model.predict_proba(table), atol=1e-6)


def test_number_that_stands_for_nothing_is_missing_when_the_estimator_says_so(cancer, holes, answered):
    table, labels = cancer
    filled = np.nan_to_num(holes(table), nan=-999.0)
    model = few(xgboost.XGBClassifier, missing=-999.0).fit(filled, labels)
    np.testing.assert_allclose(answered(model, filled), model.predict_proba(filled), atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"max_cat_to_onehot": 1}, {"max_cat_to_onehot": 100}])
def test_categories_are_xgboosts_when_a_frame_has_them(settings, trips, answered):
    names, texts = ("alcohol", "proline", "hue", "grade"), {}
    columns = {"numbers": trips[["alcohol", "proline"]].to_numpy()}
    for name in ("hue", "grade"):
        texts[name] = (None, *trips[name].cat.categories)
    columns["categories"] = np.stack([trips[name].cat.codes.to_numpy() + 1 for name in texts], axis=1)
    frame = Frame(names, {"numbers": names[:2], "categories": names[2:]}, texts)
    table = frame.of(columns)
    model = few(xgboost.XGBClassifier, enable_categorical=True, tree_method="hist", **settings)
    model.fit(table, trips["label"])
    assert any("categories_nodes" in one and one["categories_nodes"] for one in trees_of(model))
    pd.testing.assert_frame_equal(frame.of(columns), table)
    np.testing.assert_allclose(answered(model, columns, frame), model.predict_proba(table), atol=1e-6)


def test_categories_by_position_are_xgboosts_when_some_are_unseen_or_missing(answered):
    generator = np.random.default_rng(0)
    table = np.stack([generator.integers(0, 40, 900).astype(float), generator.normal(size=900)], axis=1)
    targets = np.sin(table[:, 0] * 7) + table[:, 1]
    table[::9, 0] = np.nan
    model = few(xgboost.XGBRegressor, enable_categorical=True, feature_types=["c", "q"], max_cat_to_onehot=4)
    model.fit(table, targets)
    other = np.array([[77.0, 0.3], [39.0, -0.2], [np.nan, 0.1], [5.0, np.nan]])
    rows = np.concatenate([table, other])
    np.testing.assert_allclose(answered(model, rows), model.predict(rows), atol=1e-5)


def trees_of(model) -> list[dict]:
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    return learner["gradient_booster"]["model"]["trees"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # XGBoost warns of boosters that it no longer develops
def test_refusal_says_what_to_take_when_a_booster_or_objective_has_no_graph(cancer, diabetes, answered):
    linear = few(xgboost.XGBRegressor, booster="gblinear").fit(*diabetes)
    with pytest.raises(ExportError, match=r"^XGBoost's booster gblinear cannot be exported: .* Set booster=gbtree"):
        answered(linear, diabetes[0])
    hinge = few(xgboost.XGBClassifier, objective="binary:hinge").fit(*cancer)
    with pytest.raises(
        ExportError, match=r"^XGBoost's objective binary:hinge cannot be .* Take one of binary:logistic"
    ):
        answered(hinge, cancer[0])
