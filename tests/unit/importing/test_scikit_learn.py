"""Estimators answer in the line as scikit-learn does: the same branch, the same vote, for every float32 number."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
import skops.io
from onnx.reference import ReferenceEvaluator
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.importing.scikit_learn import Estimator
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor


class Stubborn(ClassifierMixin, BaseEstimator):
    """A user's own classifier, of a type that no list of trusted ones has."""

    def fit(self, table, targets):
        self.classes_ = np.unique(targets)
        return self

    def predict_proba(self, table):
        return np.full((len(table), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, table):
        return np.zeros(len(table))


class Own(DecisionTreeClassifier):
    """A user's own type that can be exported."""


def wide(model_inputs) -> np.ndarray:
    """What scikit-learn is given: the same numbers in float64."""
    return model_inputs["features"].astype(np.float64)


@pytest.fixture(scope="module")
def neighbours() -> Splits:
    """Random labels of pairs of adjacent float32 numbers: thresholds that are no float32 numbers themselves."""
    generator = np.random.default_rng(0)
    low = generator.random((300, 4)).astype(np.float32)
    rows = np.concatenate([low, np.nextafter(low, np.float32(2))])
    split = Split(list(rows), generator.integers(0, 3, len(rows)))
    return Splits(split, split, split, ("a", "b", "c"), None)


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(),
        ExtraTreesClassifier(30),
        GradientBoostingClassifier(n_estimators=5),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_labels_are_the_same_on_adjacent_numbers_and_equal_votes(
    estimator, neighbours, four, model_inputs_of, written, tmp_path
):
    model = Estimator(estimator).fit(neighbours, four)
    drawn = np.random.default_rng(1).random((1000, 4)).astype(np.float32)
    model_inputs = model_inputs_of(four, [*neighbours.train.inputs, *drawn])
    expected = model.estimator.predict_proba(wide(model_inputs))
    session = written(model, tmp_path, model_inputs)
    found = session.run(None, model_inputs)[0]
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(model.outputs(model_inputs), expected.astype(np.float32))
    few = {"features": model_inputs["features"][:20]}
    reference = ReferenceEvaluator(str(tmp_path / "written.onnx")).run(None, few)[0]
    np.testing.assert_allclose(reference, expected[:20], atol=1e-5)
    single = [session.run(None, {"features": row[None]})[0][0] for row in few["features"]]
    np.testing.assert_allclose(single, found[:20], atol=1e-6)


def test_same_forest_grows_when_no_random_state_is_named(iris, four, model_inputs_of):
    model_inputs = model_inputs_of(four, iris.test.inputs)
    first, second = (Estimator(RandomForestClassifier(3)).fit(iris, four).outputs(model_inputs) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_estimator_of_the_recipe_is_left_unfitted_when_it_learns(iris, four):
    estimator = DecisionTreeClassifier()
    Estimator(estimator).fit(iris, four)
    assert not hasattr(estimator, "tree_")
    assert estimator.random_state is None


def test_values_are_predicted_when_targets_are_numbers(diabetes, model_inputs_of, written, tmp_path):
    processor = ArrayProcessor([10])
    model_inputs = model_inputs_of(processor, diabetes.test.inputs)
    for estimator in (RandomForestRegressor(20), make_pipeline(StandardScaler(), Ridge())):
        model = Estimator(estimator).fit(diabetes, processor)
        session = written(model, tmp_path, model_inputs, output="value")
        assert [(one.name, one.shape) for one in session.get_outputs()] == [("value", ["batch"])]
        np.testing.assert_allclose(session.run(None, model_inputs)[0], model.outputs(model_inputs), rtol=1e-5)


def test_columns_are_joined_when_the_processor_gives_numbers_and_categories(iris, model_inputs_of, written, tmp_path):
    rows = [{"a": row[0], "b": None if row[1] > 3.5 else row[1], "kind": f"{row[3] > 1}"} for row in iris.train.inputs]
    processor = TabularProcessor(numbers=["a", "b"], categories=["kind"]).fit(rows)
    splits = Splits(Split(rows, iris.train.targets), iris.validation, iris.test, iris.labels, iris.record)
    model = Estimator(make_pipeline(SimpleImputer(), DecisionTreeClassifier(max_depth=3))).fit(splits, processor)
    model_inputs = model_inputs_of(processor, rows)
    table = np.hstack([model_inputs["numbers"], model_inputs["categories"]])
    assert np.isnan(table).any()
    session = written(model, tmp_path, model_inputs)
    assert [one.name for one in session.get_inputs()] == ["numbers", "categories"]
    np.testing.assert_allclose(session.run(None, model_inputs)[0], model.estimator.predict_proba(table), atol=1e-6)


def fitted(splits: Splits, targets) -> LogisticRegression:
    table = np.array(splits.train.inputs, dtype=np.float32)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(table, targets)


def test_classes_become_the_datas_labels_when_an_estimator_comes_fitted(cancer, model_inputs_of, written, tmp_path):
    splits, processor = cancer.splits, cancer.processor
    model_inputs = model_inputs_of(processor, splits.test.inputs)
    by_name = fitted(splits, [splits.labels[one] for one in splits.train.targets])
    by_number = fitted(splits, 1 - splits.train.targets)  # 0 is malignant, as in scikit-learn
    by_name_again = Estimator(by_name).fit(splits, processor)
    numbered = Estimator(by_number, labels=["malignant", "benign"]).fit(splits, processor)
    np.testing.assert_array_equal(
        by_name_again.outputs(model_inputs), by_name.predict_proba(wide(model_inputs)).astype("f4")
    )
    np.testing.assert_array_equal(
        numbered.outputs(model_inputs), by_number.predict_proba(wide(model_inputs)).astype("f4")[:, ::-1]
    )
    found = written(numbered, tmp_path, model_inputs).run(None, model_inputs)[0]
    np.testing.assert_allclose(found, numbered.outputs(model_inputs), atol=1e-5)
    assert (found.argmax(axis=1) == splits.test.targets).mean() > 0.9


def test_positions_are_the_labels_order_when_labels_look_like_other_positions(four, model_inputs_of):
    labels = ("0", "1", "10", "2")
    rows = [np.full(4, value, dtype=np.float32) for value in range(4)] * 5
    split = Split(rows, np.array([0, 1, 2, 3] * 5))
    model = Estimator(DecisionTreeClassifier()).fit(Splits(split, split, split, labels, None), four)
    np.testing.assert_array_equal(model.outputs(model_inputs_of(four, rows[:4])), np.eye(4))


def test_file_of_skops_is_opened_when_its_path_is_given(iris, four, model_inputs_of, tmp_path):
    estimator = fitted(iris, iris.train.targets)
    skops.io.dump(estimator, tmp_path / "theirs.skops")
    model_inputs = model_inputs_of(four, iris.test.inputs)
    found = Estimator(str(tmp_path / "theirs.skops")).fit(iris, four).outputs(model_inputs)
    np.testing.assert_array_equal(found, estimator.predict_proba(wide(model_inputs)).astype(np.float32))


@pytest.mark.parametrize("ending", [".joblib", ".pkl", ".pickle"])
def test_pickle_is_refused_unopened_when_its_path_is_given(tmp_path, ending):
    path = tmp_path / f"theirs{ending}"
    path.write_bytes(pickle.dumps(DecisionTreeClassifier()))
    with pytest.raises(ConfigError) as caught:
        Estimator(str(path))
    assert str(caught.value) == (
        f"{path} is a pickle, and opening one runs whatever code it holds. Save the estimator by skops.io.dump where "
        f"it was made, and set model.estimator={tmp_path}/theirs.skops."
    )


def test_type_is_refused_when_a_file_holds_one_that_is_not_trusted(iris, four, tmp_path):
    skops.io.dump(Stubborn().fit([], [0, 1, 2]), tmp_path / "own.skops")
    name = f"{Stubborn.__module__}.Stubborn"
    with pytest.raises(ConfigError) as caught:
        Estimator(str(tmp_path / "own.skops"))
    assert str(caught.value) == (
        f"{tmp_path}/own.skops holds types that are not trusted: {name}. If you know what they do, set "
        f"model.trusted=[{name}]."
    )
    assert isinstance(Estimator(str(tmp_path / "own.skops"), trusted=[name]).estimator, Stubborn)
    with pytest.raises(ConfigError, match=r"^Own holds types that are not trusted: "):
        Estimator(Own()).fit(iris, four)
    own = Estimator(Own(), trusted=[f"{Own.__module__}.Own"]).fit(iris, four)
    own.save(tmp_path)
    rows = {"features": np.array(iris.test.inputs, dtype=np.float32)}
    np.testing.assert_array_equal(Estimator.load({}, tmp_path).outputs(rows), own.outputs(rows))


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]),
        CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
        CalibratedClassifierCV(RandomForestClassifier(3), method="temperature", cv=2),
        GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1, 2]}, cv=2),
        make_pipeline(ColumnTransformer([("a", KBinsDiscretizer(3), [0])], remainder="passthrough"), GaussianNB()),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_answers_are_the_same_when_an_estimator_was_saved_and_opened(estimator, iris, four, model_inputs_of, tmp_path):
    model = Estimator(estimator).fit(iris, four)
    model.save(tmp_path)
    model_inputs = model_inputs_of(four, iris.test.inputs)
    np.testing.assert_array_equal(Estimator.load({}, tmp_path).outputs(model_inputs), model.outputs(model_inputs))


def test_refusal_is_one_line_when_a_file_is_broken_or_gone(tmp_path):
    (tmp_path / "broken.skops").write_bytes(b"PK")
    cases = {
        "broken": r"broken\.skops cannot be opened as a file of skops: ",
        "gone": r"^There is no file .*gone\.skops\. Set ",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigError, match=message) as caught:
            Estimator(str(tmp_path / f"{name}.skops"))
        assert len(str(caught.value).splitlines()) == 1


class Slow(NearestCentroid):
    """Counts how often it learns."""

    rows: ClassVar[list[int]] = []

    def fit(self, table, targets):
        self.rows.append(len(table))
        return super().fit(table, targets)


def test_refusal_comes_before_learning_when_an_estimator_cannot_be_exported(iris, four):
    with pytest.raises(ConfigError) as caught:
        Estimator(Slow()).fit(iris, four)
    assert str(caught.value) == "Slow cannot be exported: neither maas nor skl2onnx knows it."
    assert Slow.rows == [75]  # 25 of each label, of 96


@pytest.mark.parametrize("estimator", [ClassifierChain(LogisticRegression()), QuadraticDiscriminantAnalysis()])
def test_refusal_is_one_line_when_scikit_learn_cannot_learn_from_the_rows(estimator, cancer):
    with pytest.raises(ConfigError, match=f"^{type(estimator).__name__} cannot learn from these rows: ") as caught:
        Estimator(estimator).fit(cancer.splits, cancer.processor)
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_the_remedy_when_a_classifier_gives_no_probabilities(iris, four):
    with pytest.raises(ConfigError) as caught:
        Estimator(LinearSVC()).fit(iris, four)
    assert str(caught.value) == (
        "LinearSVC gives no probabilities. Choose a classifier with predict_proba, or wrap it in "
        "sklearn.calibration.CalibratedClassifierCV."
    )


def test_refusal_names_the_type_when_it_is_no_estimator():
    with pytest.raises(ConfigError) as caught:
        Estimator(5)
    assert str(caught.value) == (
        "model.estimator is of type int; it must be an estimator with predict, or the path of a .skops file, or of one "
        "that XGBoost (.json, .ubj) or LightGBM (.txt) saved."
    )


def test_refusal_names_the_axis_when_rows_have_no_fixed_size(iris, text_processor):
    with pytest.raises(ConfigError) as caught:
        Estimator(DecisionTreeClassifier()).fit(iris, text_processor)
    assert str(caught.value) == (
        "scikit-learn takes tables; the text processor gives input_ids of any tokens. Choose a processor of fixed "
        "size, e.g. processor=array."
    )


def test_refusal_names_fit_when_an_estimator_has_not_met_the_data(four, iris, model_inputs_of):
    with pytest.raises(ConfigError) as caught:
        Estimator(DecisionTreeClassifier()).outputs(model_inputs_of(four, iris.test.inputs))
    assert str(caught.value) == "DecisionTreeClassifier has not met the data yet. Call fit first."
