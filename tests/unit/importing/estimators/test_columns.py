"""Transformers by the names of columns, in and around pipelines."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor

from maas.errors import ExportError
from maas.importing.frames import Frame

NUMBERS, CATEGORIES = ("alcohol", "proline"), ("hue", "grade")
TEXTS = {"hue": (None, "red", "brick"), "grade": (None, "g3", "g0", "g1", "g2", "g4", "only the processor's")}
FRAME = Frame((*NUMBERS, *CATEGORIES), {"numbers": NUMBERS, "categories": CATEGORIES}, TEXTS)


def encoded(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the tabular processor gives; an unknown category is a missing one."""
    positions = [frame[name].astype(object).map({text: at for at, text in enumerate(TEXTS[name])}) for name in TEXTS]
    return {
        "numbers": frame[list(NUMBERS)].to_numpy(),
        "categories": np.nan_to_num(np.stack([one.astype(float) for one in positions], axis=1)).astype(np.int64),
    }


def imputed(*steps):
    return make_pipeline(SimpleImputer(), StandardScaler(), *steps)


TRANSFORMERS = {
    "one-hot": [("n", imputed(), [*NUMBERS]), ("c", OneHotEncoder(handle_unknown="ignore"), [*CATEGORIES])],
    "one-hot, less": [
        ("c", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=70, drop="first"), ["grade", "hue"]),
        (
            "n",
            make_pipeline(
                SimpleImputer(strategy="median"), PolynomialFeatures(2, include_bias=False), StandardScaler()
            ),
            ["alcohol"],
        ),
    ],
    "ordinal": [
        (
            "c",
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
            ["grade"],
        ),
        ("p", imputed(), ["proline", "alcohol"]),
    ],
    "imputed categories": [
        (
            "c",
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
            ["grade"],
        ),
        (
            "k",
            make_pipeline(SimpleImputer(), KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")),
            ["alcohol"],
        ),
    ],
    "by type": [
        ("c", OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        ("n", imputed(), make_column_selector(dtype_exclude="category")),
    ],
    "by place": [("c", OneHotEncoder(handle_unknown="ignore"), [2, 3]), ("n", imputed(), slice(0, 2))],
    "targets": [("t", TargetEncoder(cv=StratifiedKFold(2)), ["grade", "hue"]), ("n", imputed(), ["alcohol"])],
}


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_probabilities_are_scikit_learns_when_columns_go_by_name(name, trips, answered):
    table, labels = trips[list(FRAME.names)], trips["label"].to_numpy()
    model = make_pipeline(ColumnTransformer(TRANSFORMERS[name]), LogisticRegression(max_iter=300)).fit(table, labels)
    np.testing.assert_allclose(answered(model, encoded(table), FRAME), model.predict_proba(table), atol=1e-9)
    unseen = table.assign(grade=pd.Categorical(["nowhere"] * len(table)), hue=None)
    known = table.assign(grade=None, hue=None)
    known["grade"], known["hue"] = pd.Categorical(known["grade"]), pd.Categorical(known["hue"])
    assert set(encoded(unseen)["categories"].ravel()) == {0}
    np.testing.assert_allclose(answered(model, encoded(unseen), FRAME), model.predict_proba(known), atol=1e-9)


def test_rest_is_passed_on_when_a_transformer_names_some_columns(trips, answered):
    table, labels = trips[list(FRAME.names)], trips["label"].to_numpy()
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    by_name = ColumnTransformer([("c", encoder, ["grade", "hue"])], remainder="passthrough")
    for last in (HistGradientBoostingClassifier(max_iter=5), RandomForestClassifier(5, random_state=0)):
        model = make_pipeline(by_name, last).fit(table, labels)
        np.testing.assert_allclose(answered(model, encoded(table), FRAME), model.predict_proba(table), atol=1e-14)


def test_pipeline_by_name_is_found_when_other_estimators_hold_it(trips, answered):
    table, labels = trips[list(FRAME.names)], trips["label"].to_numpy()
    inner = make_pipeline(
        ColumnTransformer(TRANSFORMERS["one-hot"]), SelectKBest(k=5), LogisticRegression(max_iter=2000)
    )
    search = GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    for model in (search, CalibratedClassifierCV(inner, method="isotonic", cv=2)):
        model.fit(table, labels)
        np.testing.assert_allclose(answered(model, encoded(table), FRAME), model.predict_proba(table), atol=1e-9)


def test_encoder_alone_is_looked_up_when_all_columns_are_categories(trips, answered):
    table, labels = trips[list(CATEGORIES)], trips["label"].to_numpy()
    frame = Frame(CATEGORIES, {"categories": CATEGORIES}, TEXTS)
    model_inputs = {"categories": encoded(trips)["categories"]}
    imputer, encoder = SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    for steps in ([encoder], [imputer, encoder]):
        model = make_pipeline(*steps, LogisticRegression(max_iter=2000)).fit(table, labels)
        np.testing.assert_allclose(answered(model, model_inputs, frame), model.predict_proba(table), atol=1e-12)


def test_numbers_are_encoded_as_by_scikit_learn_when_encoders_read_them(answered):
    generator = np.random.default_rng(0)
    table = np.stack(
        [generator.integers(0, 5, 300) * 0.1, generator.integers(-3, 3, 300), generator.normal(size=300)], 1
    )
    table[::13, 0] = np.nan
    targets = np.nan_to_num(table[:, 0]) * 3 + table[:, 1] ** 2
    for encoder in (
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5, encoded_missing_value=-7),
        TargetEncoder(cv=KFold(2)),
    ):
        by_place = ColumnTransformer([("e", encoder, [0, 1])], remainder="passthrough")
        model = make_pipeline(by_place, Ridge()).fit(table, targets)
        rows = np.concatenate([table, [[9.0, 9.0, 0.0], [0.1, 0.5, 1.0], [np.nan, np.nan, -1.0]]])
        np.testing.assert_allclose(answered(model, rows), model.predict(rows), atol=1e-12)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler(clip=True),
        MaxAbsScaler(),
        RobustScaler(),
        SimpleImputer(add_indicator=True),
        SimpleImputer(strategy="constant", fill_value=7.5),
        KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"),
        KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_numbers_are_transformed_in_float64_when_they_are_large(transformer, diabetes, holes, answered):
    table, targets = 1000 * diabetes[0][:, 2:5] + 1.7e9, diabetes[1]
    steps = [transformer] if isinstance(transformer, SimpleImputer) else [SimpleImputer(), transformer]
    rows = np.concatenate([holes(table), table * 1.5])
    model = make_pipeline(*steps, DecisionTreeRegressor(max_depth=3)).fit(holes(table), targets)
    np.testing.assert_allclose(answered(model, rows), model.predict(rows), rtol=1e-12)


@pytest.mark.parametrize(
    "scaler", [MinMaxScaler(clip=True), MaxAbsScaler(clip=True)], ids=lambda one: type(one).__name__
)
def test_scaled_values_are_clipped_when_scikit_learn_clips_them(scaler, diabetes, answered):
    """skl2onnx 1.20.0 leaves out the clip of MaxAbsScaler, which scikit-learn 1.9.1 documents (MaxAbsScaler, clip)."""
    table, targets = diabetes
    model = make_pipeline(scaler, Ridge()).fit(table, targets)
    rows = np.concatenate([table, 3 * table])
    expected = model.predict(rows)
    np.testing.assert_allclose(answered(model, rows), expected, rtol=1e-9)
    assert np.abs(model[-1].predict(rows / np.abs(table).max(axis=0)) - expected).max() > 10


def test_values_are_scikit_learns_when_steps_are_joined_and_targets_scaled(diabetes, answered):
    table, targets = diabetes
    steps = make_union(StandardScaler(), make_pipeline(FunctionTransformer(np.abs), MinMaxScaler()))
    for scaled in (
        TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
        TransformedTargetRegressor(Ridge(), transformer=MinMaxScaler()),
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    ):
        model = make_pipeline(steps, scaled).fit(table, targets)
        np.testing.assert_allclose(answered(model, table), model.predict(table), rtol=1e-9)


def test_refusal_says_what_to_set_when_an_encoder_takes_no_missing_category(trips, answered):
    table = trips[list(FRAME.names)]
    transformers = [("c", OneHotEncoder(), ["hue"]), ("n", SimpleImputer(), ["alcohol"])]
    model = make_pipeline(ColumnTransformer(transformers), GaussianNB()).fit(table, trips["label"])
    with pytest.raises(ExportError, match=r"^OneHotEncoder refuses categories of hue that rows may hold: ") as caught:
        answered(model, encoded(table), FRAME)
    assert str(caught.value).endswith("Let it take unknown and missing ones, e.g. handle_unknown=ignore.")
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_the_function_when_a_graph_cannot_hold_it(diabetes, answered):
    table, targets = diabetes
    model = make_pipeline(FunctionTransformer(np.cumsum, kw_args={"axis": 1}), Ridge()).fit(table, targets)
    with pytest.raises(ExportError) as caught:
        answered(model, table)
    assert str(caught.value) == (
        "FunctionTransformer calls cumsum, a function of Python that a graph cannot hold. Take one of absolute, exp, "
        "log, sqrt, negative, log1p, or compute the column before."
    )
