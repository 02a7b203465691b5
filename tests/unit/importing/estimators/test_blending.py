"""A blend of boosting and a linear model: what it chooses, and that its graph answers as it does."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from threadpoolctl import threadpool_info, threadpool_limits

from maas.data.splits import Split, Splits
from maas.importing.blending import WEIGHTS, BlendedClassifier, BlendedRegressor
from maas.importing.learning import ROWS_OF_ONE_THREAD, learnt
from maas.importing.scikit_learn import Estimator
from maas.runtime.processors.tabular import TabularProcessor

CHANCE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def line() -> tuple[np.ndarray, np.ndarray]:
    """200 rows of 5 numbers, and a number that is their weighted sum with a little noise."""
    table = CHANCE.normal(size=(200, 5))
    return table, table @ [3.0, -2.0, 1.0, 0.0, 4.0] + 0.1 * CHANCE.normal(size=200)


@pytest.fixture(scope="module")
def squares() -> tuple[np.ndarray, np.ndarray]:
    """400 rows of 2 numbers, labelled by whether their signs differ: no line parts them."""
    table = CHANCE.uniform(-1, 1, size=(400, 2))
    return table, (np.prod(table, axis=1) > 0).astype(int)


def test_linear_model_weighs_most_when_a_number_is_a_sum(line):
    table, values = line
    blend = BlendedRegressor(random_state=0).fit(table, values)
    assert blend.weight_ == max(WEIGHTS)
    boosting, linear = blend.estimator_.estimators_
    np.testing.assert_allclose(
        blend.predict(table), 0.25 * boosting.predict(table) + 0.75 * linear.predict(table), rtol=1e-12
    )


def test_boosting_is_alone_when_lines_show_nothing(squares):
    table, labels = squares
    blend = BlendedClassifier(random_state=0).fit(table, labels)
    assert blend.weight_ == 0
    np.testing.assert_array_equal(blend.predict_proba(table), blend.estimator_.predict_proba(table))
    assert blend.score(table, labels) > 0.95
    assert LogisticRegression().fit(table, labels).score(table, labels) < 0.7


def test_settings_are_the_same_when_the_seed_is(line):
    table, values = line
    first, second = (BlendedRegressor(random_state=3).fit(table, values) for _ in range(2))
    np.testing.assert_array_equal(first.predict(table), second.predict(table))


@pytest.mark.parametrize(("folds", "count"), [(0, 0), (5, 1), (5, 4)])
def test_all_labels_have_probabilities_when_one_is_rare(folds, count):
    table = CHANCE.normal(size=(120, 3))
    labels = (table[:, 0] > 0).astype(int)
    labels[:count] = 2
    blend = BlendedClassifier(folds=folds, random_state=0).fit(table, labels)
    assert list(blend.classes_) == list(np.unique(labels))
    np.testing.assert_allclose(blend.predict_proba(table).sum(axis=1), 1)


def test_no_fold_is_made_when_all_labels_are_rare():
    table = CHANCE.normal(size=(8, 2))
    blend = BlendedClassifier(random_state=0).fit(table, np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    assert blend.weight_ == 0.5
    assert isinstance(blend.estimator_, VotingClassifier)


def test_rare_label_is_found_when_classes_are_balanced():
    table = CHANCE.normal(size=(600, 3))
    labels = (table[:, 0] + 0.5 * CHANCE.normal(size=600) > 1.9).astype(int)
    assert labels.mean() < 0.1
    plain, balanced = (
        BlendedClassifier(class_weight=weight, random_state=0).fit(table[:400], labels[:400])
        for weight in (None, "balanced")
    )
    scores = [balanced_accuracy_score(labels[400:], one.predict(table[400:])) for one in (plain, balanced)]
    assert scores[1] > scores[0]


def test_linear_model_gives_each_category_a_column_when_there_are_some(trips):
    frame = trips[["alcohol", "proline", "hue", "grade"]]
    blend = BlendedClassifier(folds=0).fit(frame, trips["label"].to_numpy())
    columns = dict(blend.estimator_.estimators)["linear"].named_steps["columns"]
    assert isinstance(columns, ColumnTransformer)
    assert {name: list(own) for name, _, own in columns.transformers} == {
        "numbers": ["alcohol", "proline"],
        "categories": ["hue", "grade"],
    }
    unknown = frame.head(3).assign(hue=pd.Categorical(["green"] * 3, categories=["green"]))
    assert np.isfinite(blend.predict_proba(unknown)).all()


@pytest.mark.parametrize("task", ["label", "number"])
def test_bundle_answers_as_the_blend_when_columns_are_mixed_and_missing(task, trips, tmp_path):
    names = ["alcohol", "proline", "hue", "grade"]
    rows = trips[names].astype(object).where(trips[names].notna(), None).to_dict("records")
    targets = trips["label"].to_numpy() if task == "label" else trips["proline"].to_numpy() / 1e9
    split = Split(rows, targets)
    splits = Splits(split, split, split, ("one", "two", "three") if task == "label" else (), None)
    processor = TabularProcessor(names[:2], names[2:], double=True).fit(rows)
    blend = BlendedClassifier() if task == "label" else BlendedRegressor()
    model = Estimator(blend).fit(splits, processor)  # refuses a graph that answers otherwise
    model.save(tmp_path)
    again = Estimator.load({}, tmp_path)
    model_inputs = processor.batch(processor.preprocess(rows))
    np.testing.assert_array_equal(again.outputs(model_inputs), model.outputs(model_inputs))


class ThreadCounter(BaseEstimator):
    """Keeps how many threads OpenMP has while it learns."""

    def fit(self, _rows, _targets):
        self.threads_ = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
        return self


@pytest.mark.parametrize(("rows", "expected"), [(ROWS_OF_ONE_THREAD, 1), (ROWS_OF_ONE_THREAD + 1, 3)])
def test_few_rows_are_learnt_in_one_thread(rows, expected):
    table = np.zeros((rows, 1))
    with threadpool_limits(limits=3, user_api="openmp"):
        found = learnt(ThreadCounter(), {"numbers": table}, None, np.zeros(rows))
        after = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
    assert found.threads_ == {expected}
    assert after == {3}
