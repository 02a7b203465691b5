"""Histogram gradient boosting: float64 thresholds, categories, missing values, every loss."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from maas.importing.frames import Frame


def few(kind, **settings):
    return kind(max_iter=6, min_samples_leaf=5, random_state=0, **settings)


def test_probabilities_are_scikit_learns_when_values_are_missing(wine, cancer, holes, answered):
    for table, labels in (wine, cancer):
        model = few(HistGradientBoostingClassifier).fit(holes(table), labels)
        rows = np.concatenate([holes(table)[::-1], table, np.full((1, table.shape[1]), np.nan)])
        found = answered(model, rows)
        np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-14)
        np.testing.assert_array_equal(model.classes_[found.argmax(axis=1)], model.predict(rows))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gamma", "poisson", "quantile"])
def test_values_are_scikit_learns_when_the_loss_is_another(loss, diabetes, holes, answered):
    table, targets = diabetes
    more = {"quantile": 0.8} if loss == "quantile" else {}
    model = few(HistGradientBoostingRegressor, loss=loss, **more).fit(holes(table), targets)
    np.testing.assert_allclose(answered(model, holes(table)), model.predict(holes(table)), rtol=1e-13)


def test_values_are_scikit_learns_when_seconds_since_1970_need_float64(answered):
    """Steps of one second: float32 knows only every 128th."""
    seconds = 1.7e9 + np.arange(400.0)[:, None]
    targets = (seconds[:, 0] % 100 > 50).astype(float)
    model = HistGradientBoostingRegressor(max_iter=40, min_samples_leaf=5).fit(seconds, targets)
    assert model.score(seconds, targets) > 0.98
    np.testing.assert_allclose(answered(model, seconds), model.predict(seconds), rtol=1e-13, atol=1e-13)
    assert model.score(seconds.astype(np.float32).astype(float), targets) < 0.9


def test_branches_are_scikit_learns_when_numbers_equal_thresholds(wine, answered):
    table, labels = wine
    model = few(HistGradientBoostingClassifier).fit(table, labels)
    rows = []
    for predictor in (one for stage in model._predictors for one in stage):
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            threshold = node["num_threshold"]
            for value in (threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)):
                row = table[len(rows) % len(table)].copy()
                row[node["feature_idx"]] = value
                rows.append(row)
    np.testing.assert_allclose(answered(model, np.array(rows)), model.predict_proba(np.array(rows)), atol=1e-14)


def test_categories_by_position_are_scikit_learns_when_some_are_unseen_or_missing(answered):
    generator = np.random.default_rng(0)
    table = np.stack([generator.integers(3, 43, 900) * 1.5, generator.normal(size=900)], axis=1)
    targets = np.sin(table[:, 0] * 7) + table[:, 1]
    table[::9, 0] = np.nan
    model = few(HistGradientBoostingRegressor, categorical_features=[0]).fit(table, targets)
    assert any(one.nodes["is_categorical"].any() for stage in model._predictors for one in stage)
    rows = table.copy()
    rows[:60, 0] = [*np.arange(40), -1, 255, 256, 1e30, *np.arange(16) + 0.5]
    np.testing.assert_allclose(answered(model, rows), model.predict(rows), rtol=1e-13, atol=1e-13)
    assert model.score(table, targets) > 0.5


def test_categories_by_name_are_scikit_learns_when_the_processor_gives_positions(trips, answered):
    names = ("hue", "proline", "grade", "alcohol")
    table, labels = trips[list(names)], trips["label"]
    model = few(HistGradientBoostingClassifier).fit(table, labels)
    assert model.is_categorical_.tolist() == [True, False, True, False]
    texts = {"hue": (None, "red", "brick"), "grade": (None, "g3", "g0", "g1", "g2", "never seen", "g4")}
    frame = Frame(names, {"numbers": ("alcohol", "proline"), "categories": ("hue", "grade")}, texts)
    positions = [trips[name].map({text: at for at, text in enumerate(texts[name])}).astype(float) for name in texts]
    model_inputs = {
        "numbers": trips[["alcohol", "proline"]].to_numpy(),
        "categories": np.nan_to_num(np.stack(positions, axis=1)).astype(np.int64),
    }
    pd.testing.assert_frame_equal(frame.of(model_inputs).astype(object), table.astype(object))
    np.testing.assert_allclose(answered(model, model_inputs, frame), model.predict_proba(table), atol=1e-14)
    model_inputs["categories"][:, 1] = 5  # a category that the estimator has not met is a missing one
    unseen = table.assign(grade=pd.Categorical(["never seen"] * len(table)))
    np.testing.assert_allclose(answered(model, model_inputs, frame), model.predict_proba(unseen), atol=1e-14)
