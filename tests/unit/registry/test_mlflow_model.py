"""Bundles as MLflow models: what MLflow's own loader lets through, and what comes back."""

import mlflow
import numpy as np
import pandas as pd
import pytest

from maas.runtime.bundle import Bundle

ROWS = [[1, 2, 3, 4], [5, 6, 7, 8], [0, 16, 0, 16], [9, 9, 1, 1], [2, 0, 0, 2]]
OWN_WARNINGS = pytest.mark.filterwarnings("ignore")
"""MLflow's evaluator warns of itself: pandas 4, scikit-learn, example data."""

INDEX = [30, 10, 50, 20, 40]


def loaded(bundle: Bundle) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(str(bundle.folder))


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        lambda rows: [tuple(row) for row in rows],
        *(
            lambda rows, kind=kind: np.array(rows, dtype=kind)
            for kind in ("float32", "float64", "int64", "int32", "uint8")
        ),
        pd.DataFrame,
        lambda rows: pd.DataFrame(rows, dtype="float32"),
        lambda rows: pd.DataFrame({"row": rows}),
        pd.Series,
    ],
)
def test_arrays_are_answered_alike_when_they_come_in_any_type(arrays, wrap):
    found = loaded(arrays).predict(wrap(ROWS))
    assert found.to_dict("records") == arrays.predict(ROWS)


def test_index_is_the_frames_own_when_answers_are_assigned(arrays, sentences, columns):
    frames = [
        (arrays, pd.DataFrame(ROWS, index=INDEX), arrays.predict(ROWS)),
        (
            sentences,
            pd.DataFrame({"text": ["bad", "很好", "good"]}, index=["x", "z", "y"]),
            sentences.predict(["bad", "很好", "good"]),
        ),
        (columns, pd.DataFrame({"hour": [1, 2], "distance": [3.0, 4.0], "carrier": ["UA", "7"]}, index=[9, 3]), None),
    ]
    for bundle, frame, expected in frames:
        found = loaded(bundle).predict(frame)
        assert found.index.equals(frame.index)
        (name, *_) = found.columns
        assigned = frame.assign(answer=found[name])["answer"]
        assert not assigned.isna().any()
        if expected:
            assert assigned.tolist() == [answer[name] for answer in expected]


def test_index_is_the_series_own_when_texts_come_as_one(sentences):
    found = loaded(sentences).predict(pd.Series(["bad", "很好"], index=[5, 2]))
    assert found.index.tolist() == [5, 2]


@pytest.mark.parametrize(
    ("frame", "values"),
    [
        (pd.DataFrame({"hour": [1, 2], "distance": [3, 4], "carrier": ["UA", "7"]}), [204, 106]),  # whole numbers
        (pd.DataFrame({"hour": [1, 2], "distance": [3.0, 4.0], "carrier": [7, 8]}), [104, 6]),
        (pd.DataFrame({"hour": [1, 2], "distance": [3, 4], "carrier": ["UA", None]}), [204, 6]),
        (
            pd.DataFrame({"hour": pd.array([1, 2], dtype="Int64"), "distance": [3, 4], "carrier": ["UA", pd.NA]}),
            [204, 6],
        ),
    ],
)
def test_columns_are_taken_when_they_hold_whole_numbers_or_gaps(columns, frame, values):
    assert loaded(columns).predict(frame)["value"].tolist() == values


def test_gap_in_whole_numbers_is_a_missing_value_when_pandas_writes_it_in_any_way(columns):
    kinds = [[1, None], [1.0, float("nan")], pd.array([1, None], dtype="Int64"), pd.Series([1, None], dtype=object)]
    for hours in kinds:
        found = loaded(columns).predict(pd.DataFrame({"hour": hours, "distance": [3, 4], "carrier": ["UA", "UA"]}))
        assert found["value"].tolist() == [1 + 3 + 200, 10 + 4 + 200]


@OWN_WARNINGS
@pytest.mark.parametrize("name", ["arrays", "sentences"])
def test_classifier_is_evaluated_when_its_label_is_taken_from_its_answers(request, store, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    bundle = request.getfixturevalue(name)
    inputs = ROWS if name == "arrays" else ["bad", "很好", "good", "a film", "无"]
    frame = pd.DataFrame(inputs, index=INDEX).rename(columns=str)
    labels = [answer["label"] for answer in bundle.predict(inputs)]
    data = frame.assign(
        target=[*labels[:3], *("negative" if label == "positive" else "positive" for label in labels[3:])]
    )
    model = loaded(bundle)
    # the two lines of docs/registry.md
    predict = lambda rows: model.predict(rows)["label"]  # noqa: E731
    result = mlflow.models.evaluate(predict, data, targets="target", model_type="classifier", evaluators="classifier")
    assert result.metrics["accuracy_score"] == 3 / 5
    assert result.metrics["example_count"] == 5


@OWN_WARNINGS
def test_regressor_is_evaluated_when_its_value_is_taken_from_its_answers(columns, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    data = pd.DataFrame({"hour": [1, 2], "distance": [3, 4], "carrier": ["UA", "7"], "target": [205.0, 104.0]})
    model = loaded(columns)
    predict = lambda rows: model.predict(rows)["value"]  # noqa: E731
    result = mlflow.models.evaluate(predict, data, targets="target", model_type="regressor", evaluators="regressor")
    assert result.metrics["mean_absolute_error"] == 1.5  # 204 and 106
