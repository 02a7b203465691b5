"""Bundles as MLflow models: what MLflow's own loader lets through, and what comes back."""

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from maas.exporting.bundling import draw_up
from maas.runtime.answers import load_answer
from maas.runtime.bundle import Bundle
from maas.runtime.manifest import ServingSettings
from maas.runtime.processors.array import Processor as ArrayProcessor
from maas.runtime.processors.tabular import Processor as TabularProcessor
from maas.runtime.processors.text import Processor as TextProcessor

ROWS = [[1, 2, 3, 4], [5, 6, 7, 8], [0, 16, 0, 16], [9, 9, 1, 1], [2, 0, 0, 2]]
OWN_WARNINGS = pytest.mark.filterwarnings("ignore")
"""MLflow's evaluator warns of itself: pandas 4, scikit-learn, example data."""

INDEX = [30, 10, 50, 20, 40]


@pytest.fixture(scope="module")
def draw(lineage, tmp_path_factory):
    def make(name: str, **parts: object) -> Bundle:
        folder = tmp_path_factory.mktemp("models") / name
        folder.mkdir()
        rest = {"name": name, "precision": "fp32", "serving": ServingSettings(), "lineage": lineage}
        return draw_up(folder, **parts, **rest)

    return make


@pytest.fixture(scope="module")
def arrays(bundles, draw, tmp_path_factory):
    """Rows of four numbers, three labels."""
    graph = bundles.array_bundle(tmp_path_factory.mktemp("graphs") / "array", width=4, labels=3, seed=5) / "model.onnx"
    return draw(
        "arrays",
        model=graph,
        task="tabular-classification",
        processor=ArrayProcessor([4], low=0, high=16),
        answer=load_answer({"kind": "classification", "labels": ["a", "b", "c"]}),
        golden_rows=ROWS,
    )


@pytest.fixture(scope="module")
def texts(bundles, draw, tmp_path_factory):
    graph = bundles.text_bundle(tmp_path_factory.mktemp("graphs") / "text") / "model.onnx"
    return draw(
        "texts",
        model=graph,
        task="text-classification",
        processor=TextProcessor(vocabulary_size=300, max_tokens=64, pad_multiple=8).fit(bundles.TEXTS * 3),
        answer=load_answer({"kind": "classification", "labels": ["negative", "positive"]}),
        golden_rows=bundles.TEXTS,
    )


@pytest.fixture(scope="module")
def columns(draw, tmp_path_factory):
    """value = hour + distance + 100 · (position of the carrier): learnt are "7" (1) and "UA" (2)."""
    nodes = [
        helper.make_node("ReduceSum", ["numbers", "axis"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["categories"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "axis"], ["position"], keepdims=0),
        helper.make_node("Mul", ["position", "hundred"], ["offset"]),
        helper.make_node("Add", ["sum", "offset"], ["value"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
    ]
    output = helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch"])
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("hundred", TensorProto.FLOAT, [], [100.0]),
    ]
    graph = helper.make_graph(nodes, "columns", inputs, [output], constants)
    path = tmp_path_factory.mktemp("graphs") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    rows = [{"hour": 1.5, "distance": 2, "carrier": 7}, {"hour": 3, "distance": 4.5, "carrier": "UA"}]
    return draw(
        "columns",
        model=path,
        task="tabular-regression",
        processor=TabularProcessor(["hour", "distance"], ["carrier"]).fit([*rows, rows[0]]),
        answer=load_answer({"kind": "regression"}),
        golden_rows=rows,
    )


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


def test_index_is_the_frames_own_when_answers_are_assigned(arrays, texts, columns):
    frames = [
        (arrays, pd.DataFrame(ROWS, index=INDEX), arrays.predict(ROWS)),
        (
            texts,
            pd.DataFrame({"text": ["bad", "很好", "good"]}, index=["x", "z", "y"]),
            texts.predict(["bad", "很好", "good"]),
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


def test_index_is_the_series_own_when_texts_come_as_one(texts):
    found = loaded(texts).predict(pd.Series(["bad", "很好"], index=[5, 2]))
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
        assert found["value"].tolist()[0] == 204
        assert np.isnan(found["value"].tolist()[1])


@OWN_WARNINGS
@pytest.mark.parametrize("name", ["arrays", "texts"])
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
