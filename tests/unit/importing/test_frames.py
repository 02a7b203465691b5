"""What an estimator is given: columns by name, float64, and missing ones where it takes them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from maas.config import compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError, InputError
from maas.importing.scikit_learn import Estimator
from maas.runtime.model import Predictor
from maas.runtime.postprocessors.classification import ClassificationPostprocessor
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

BY_NAME = [
    ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["hours", "distance"]),
    ("categories", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
]


@pytest.fixture(scope="module")
def late() -> Splits:
    """240 rows of two numbers and a category, some missing, whether a trip is late; and the processor's own columns."""
    generator = np.random.default_rng(0)
    hours, distance = generator.uniform(0, 24, 240), generator.uniform(1e3, 2e3, 240)
    carriers = generator.choice(["UA", "AA", "B6"], 240)
    targets = (hours + 6 * (carriers == "B6") + generator.normal(size=240) > 14).astype(int)
    rows = [
        {"hours": None if i % 9 == 0 else float(h), "distance": float(d), "carrier": None if i % 13 == 0 else str(c)}
        for i, (h, d, c) in enumerate(zip(hours, distance, carriers, strict=True))
    ]
    split = Split(rows, targets)
    return Splits(split, split, split, ("in time", "late"), None)


@pytest.fixture(scope="module")
def columns(late) -> TabularProcessor:
    return TabularProcessor(["distance", "hours"], ["carrier"], double=True).fit(late.train.inputs)


def frame_of(rows) -> pd.DataFrame:
    """The rows as a stranger would hand them to scikit-learn."""
    return pd.DataFrame(rows, columns=["hours", "distance", "carrier"])


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(ColumnTransformer(BY_NAME), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=10, categorical_features=["carrier"]),
        HistGradientBoostingClassifier(max_iter=10),
    ],
    ids=["by name", "names of categories", "by type"],
)
def test_answers_are_those_of_the_rows_themselves_when_columns_go_by_name(
    estimator, late, columns, model_inputs_of, written, tmp_path
):
    model = Estimator(estimator).fit(late, columns)
    rows = [*late.train.inputs, {"hours": 3.0, "distance": 1.5e3, "carrier": "never seen"}]
    frame = frame_of([*late.train.inputs, {**rows[-1], "carrier": None}])  # an unknown category is a missing one
    if isinstance(estimator, HistGradientBoostingClassifier):
        frame["carrier"] = pd.Categorical(frame["carrier"])
    alone = type(estimator)(**estimator.get_params(deep=False))
    alone = alone if isinstance(estimator, HistGradientBoostingClassifier) else model.estimator
    if alone is not model.estimator:  # columns of the processor's order, fitted without maas
        alone.set_params(random_state=0)
        alone.fit(frame.iloc[:-1][["distance", "hours", "carrier"]], late.train.targets)
        frame = frame[["distance", "hours", "carrier"]]
    expected = alone.predict_proba(frame)
    model_inputs = model_inputs_of(columns, rows)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-6)
    np.testing.assert_allclose(written(model, tmp_path, model_inputs).run(None, model_inputs)[0], expected, atol=1e-6)
    assert (expected.argmax(axis=1)[:-1] == late.train.targets).mean() > 0.85


def test_fitted_pipeline_is_given_its_own_columns_when_it_was_fitted_on_a_frame(late, columns, model_inputs_of):
    names = [late.labels[one] for one in late.train.targets]
    theirs = make_pipeline(ColumnTransformer(BY_NAME), LogisticRegression()).fit(frame_of(late.train.inputs), names)
    model = Estimator(theirs).fit(late, columns)
    expected = theirs.predict_proba(frame_of(late.test.inputs))
    np.testing.assert_allclose(model.outputs(model_inputs_of(columns, late.test.inputs)), expected, atol=1e-6)


def test_epoch_seconds_keep_their_meaning_when_numbers_are_float64(model_inputs_of, written, tmp_path):
    """R² of the same line in float32 is below 0.9."""
    seconds = 1.7e9 + np.random.default_rng(0).uniform(0, 600, 300)
    targets = 0.5 * (seconds - 1.7e9) + 3
    rows = [[float(one)] for one in seconds]
    split = Split(rows, targets)
    splits = Splits(split, split, split, (), None)
    processor = TabularProcessor(["time"], double=True).fit(rows)
    for estimator in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())):
        model = Estimator(estimator).fit(splits, processor)
        model_inputs = model_inputs_of(processor, rows)
        found = written(model, tmp_path, model_inputs, output="value").run(None, model_inputs)[0]
        np.testing.assert_allclose(found, targets, rtol=1e-4, atol=1e-3)
    rounded = seconds.astype(np.float32).astype(np.float64)[:, None]
    assert LinearRegression().fit(rounded, targets).score(rounded, targets) < 0.97


def test_refusal_names_the_choice_when_an_array_loses_the_scale_of_a_column():
    rows = [np.array([1.0, 1.7e9 + second]) for second in np.linspace(0, 600, 60)]
    split = Split(rows, np.arange(60.0))
    with pytest.raises(ConfigError) as caught:
        Estimator(LinearRegression()).fit(Splits(split, split, split, (), None), ArrayProcessor([2]))
    assert str(caught.value) == (
        "Value 1 of a row deviates by 176 around 1.7e+09, where float32 numbers lie 128 apart, and the array processor "
        "gives float32. Choose processor=tabular, which gives imported models float64."
    )


@pytest.mark.parametrize("estimator", [GradientBoostingClassifier(n_estimators=3), LogisticRegression(max_iter=500)])
def test_graph_has_no_answer_when_scikit_learn_refuses_a_missing_number(
    estimator, late, model_inputs_of, written, tmp_path
):
    whole = Split([{**row, "hours": row["hours"] or 1.0} for row in late.train.inputs], late.train.targets)
    processor = TabularProcessor(["hours", "distance"], double=True)
    rows = [{"hours": row["hours"], "distance": row["distance"]} for row in whole.inputs]
    whole = Split(rows, whole.targets)
    processor = processor.fit(rows)
    model = Estimator(estimator).fit(Splits(whole, whole, whole, late.labels, None), processor)
    model_inputs = model_inputs_of(processor, [*rows[:4], {"hours": None, "distance": 1.5e3}, {"hours": 2.0}])
    found = written(model, tmp_path, model_inputs).run(None, model_inputs)[0]
    assert np.isnan(found[4:]).all()
    four = {"numbers": model_inputs["numbers"][:4]}
    np.testing.assert_allclose(found[:4], model.outputs(four), atol=1e-6)
    with pytest.raises(ConfigError, match="does not take these rows: Input X contains NaN"):
        model.outputs(model_inputs)
    predictor = Predictor(tmp_path / "written.onnx", processor, ClassificationPostprocessor(late.labels))
    assert [one["label"] for one in predictor.predict(rows[:4])] == [
        late.labels[one] for one in found[:4].argmax(axis=1)
    ]
    with pytest.raises(InputError) as caught:
        predictor.predict([rows[0], {"distance": 1.5e3}])
    assert str(caught.value) == (
        "The model's probabilities for row 1 is not a finite number; a value is missing that it needs, or lies far "
        "outside of what the model was trained on."
    )


def test_refusal_names_the_column_when_the_processor_lacks_one(late):
    few = TabularProcessor(["hours"], ["carrier"]).fit([{"hours": 1.0, "carrier": "UA"}])
    with pytest.raises(ConfigError) as caught:
        Estimator(make_pipeline(ColumnTransformer(BY_NAME), LogisticRegression())).fit(late, few)
    assert str(caught.value) == (
        "Pipeline reads the column 'distance'; the tabular processor gives hours, carrier. Name it in "
        "processor.numbers or processor.categories."
    )


def test_refusal_names_the_choice_when_columns_go_by_name_and_rows_have_none(iris, four):
    named = make_pipeline(ColumnTransformer([("a", StandardScaler(), ["length"])]), LogisticRegression())
    with pytest.raises(ConfigError) as caught:
        Estimator(named).fit(iris, four)
    assert str(caught.value) == (
        "Pipeline reads columns by name; the array processor gives none. Choose processor=tabular, or name columns by "
        "position."
    )


@pytest.mark.parametrize(("recipe", "double"), [("rules", True), ("flights", False)])
def test_recipe_gives_float64_when_its_model_computes_in_it(recipe, double):
    assert compose(recipe).processor["double"] is double


def test_numbers_are_float32_when_a_processor_was_saved_before_there_was_a_choice(columns, tmp_path):
    columns.save(tmp_path)
    older = {name: value for name, value in columns.settings().items() if name != "double"}
    row = [{"hours": 1.0, "distance": 2.0, "carrier": "UA"}]
    for settings, kind in ((older, np.float32), (columns.settings(), np.float64)):
        processor = TabularProcessor.load(settings, tmp_path)
        assert processor.batch(processor.preprocess(row))["numbers"].dtype == kind
