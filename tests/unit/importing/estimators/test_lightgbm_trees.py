"""LightGBM: float64 thresholds and sums, three kinds of missing values, categories, objectives."""

import numpy as np
import pytest

from maas.errors import ExportError
from maas.importing.frames import Frame
from maas.importing.lightgbm_file import estimator_of, trees_in

lightgbm = pytest.importorskip("lightgbm")


def few(kind, **settings):
    return kind(**{"n_estimators": 8, "random_state": 0, "n_jobs": 1, "verbosity": -1, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"boosting_type": "dart"},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"sigmoid": 2.5},
        {"boost_from_average": False, "linear_tree": False},
    ],
)
def test_probabilities_are_lightgbms_when_values_are_missing(settings, wine, cancer, holes, answered):
    for table, labels in (wine, cancer):
        learnt = holes(table)
        learnt[::5, 3] = 0.0
        model = few(lightgbm.LGBMClassifier, **settings).fit(learnt, labels)
        rows = np.concatenate(
            [learnt[::-1], table, np.full((1, table.shape[1]), np.nan), np.zeros((1, table.shape[1]))]
        )
        np.testing.assert_allclose(answered(model, rows), model.predict_proba(rows), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "settings",
    [
        *({"objective": one} for one in ("regression", "l1", "huber", "fair", "quantile", "mape")),
        *({"objective": one} for one in ("poisson", "gamma", "tweedie")),
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "cross_entropy"},
    ],
)
def test_values_are_lightgbms_when_the_objective_is_another(settings, diabetes, holes, answered):
    table, targets = diabetes
    targets = targets / targets.max() if settings["objective"] == "cross_entropy" else targets
    model = few(lightgbm.LGBMRegressor, **settings).fit(holes(table), targets)
    np.testing.assert_allclose(answered(model, holes(table)), model.predict(holes(table)), rtol=1e-13)


def test_values_are_lightgbms_when_seconds_since_1970_need_float64(answered):
    """Steps of one second: float32 knows only every 128th."""
    seconds = 1.7e9 + np.arange(400.0)[:, None]
    targets = (seconds[:, 0] % 100 > 50).astype(float)
    model = few(lightgbm.LGBMRegressor, n_estimators=60, min_child_samples=5).fit(seconds, targets)
    assert model.score(seconds, targets) > 0.95
    np.testing.assert_allclose(answered(model, seconds), model.predict(seconds), rtol=1e-13, atol=1e-13)


def test_branches_are_lightgbms_when_numbers_equal_thresholds(wine, answered):
    table, labels = wine
    model = few(lightgbm.LGBMClassifier).fit(table, labels)
    rows = []
    for tree in trees_in(model.booster_.model_to_string()):
        for column, threshold in zip(tree["split_feature"].split(), map(float, tree["threshold"].split()), strict=True):
            for value in (threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)):
                row = table[len(rows) % len(table)].copy()
                row[int(column)] = value
                rows.append(row)
    assert len(rows) > 100
    np.testing.assert_allclose(answered(model, np.array(rows)), model.predict_proba(np.array(rows)), atol=1e-14)


def test_categories_are_lightgbms_when_a_frame_has_them(trips, answered):
    names, texts = ("alcohol", "proline", "hue", "grade"), {}
    columns = {"numbers": trips[["alcohol", "proline"]].to_numpy()}
    for name in ("hue", "grade"):
        texts[name] = (None, *trips[name].cat.categories)
    columns["categories"] = np.stack([trips[name].cat.codes.to_numpy() + 1 for name in texts], axis=1)
    frame = Frame(names, {"numbers": names[:2], "categories": names[2:]}, texts)
    table = frame.of(columns)
    model = few(lightgbm.LGBMClassifier, min_data_per_group=5, cat_smooth=1).fit(table, trips["label"])
    assert any(int(one["num_cat"]) for one in trees_in(model.booster_.model_to_string()))
    np.testing.assert_allclose(answered(model, columns, frame), model.predict_proba(table), atol=1e-14)


def test_categories_by_position_are_lightgbms_when_some_are_unseen_or_missing(answered):
    generator = np.random.default_rng(0)
    table = np.stack([generator.integers(0, 80, 1900).astype(float), generator.normal(size=1900)], axis=1)
    targets = np.sin(table[:, 0] * 7) + table[:, 1]
    table[::9, 0] = np.nan
    model = few(lightgbm.LGBMRegressor, min_data_per_group=5, cat_smooth=1)
    model.fit(table, targets, categorical_feature=[0])
    assert any(int(one["num_cat"]) for one in trees_in(model.booster_.model_to_string()))
    other = np.array([[977.0, 0.3], [39.7, -0.2], [-3.0, 0.3], [np.nan, 0.1], [5.0, np.nan]])
    rows = np.concatenate([table, other])
    np.testing.assert_allclose(answered(model, rows), model.predict(rows), atol=1e-13)


def test_estimator_of_a_text_answers_as_the_one_that_it_was_saved_by(wine, diabetes, holes, answered):
    for kind, (table, targets) in ((lightgbm.LGBMClassifier, wine), (lightgbm.LGBMRegressor, diabetes)):
        model = few(kind).fit(holes(table), targets)
        opened = estimator_of(model.booster_.model_to_string())
        method = "predict_proba" if kind is lightgbm.LGBMClassifier else "predict"
        np.testing.assert_array_equal(getattr(opened, method)(table), getattr(model, method)(table))
        np.testing.assert_allclose(answered(opened, table), getattr(model, method)(table), atol=1e-13, rtol=1e-13)


def test_refusal_says_what_to_take_when_a_tree_or_objective_has_no_graph(wine, diabetes, answered):
    linear = few(lightgbm.LGBMRegressor, linear_tree=True).fit(*diabetes)
    with pytest.raises(ExportError) as caught:
        answered(linear, diabetes[0])
    assert str(caught.value) == "LightGBM's linear trees cannot be exported. Set linear_tree=false."
    apart = few(lightgbm.LGBMClassifier, objective="multiclassova").fit(*wine)
    with pytest.raises(
        ExportError, match=r"^LightGBM's objective multiclassova cannot be .* one of binary, multiclass"
    ):
        answered(apart, wine[0])
