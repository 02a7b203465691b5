"""Files of XGBoost and LightGBM as estimators, and mistakes with them."""

import numpy as np
import pytest

from maas.errors import ConfigError
from maas.importing import estimator_files
from maas.importing.estimator_files import open_estimator
from maas.importing.scikit_learn import Estimator
from maas.importing.skops_file import TRUSTED

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

SMALL = {"n_estimators": 5, "random_state": 0, "n_jobs": 1}


@pytest.fixture(scope="module")
def table(iris):
    return np.array(iris.train.inputs, dtype=np.float64), np.array(iris.train.targets)


@pytest.mark.parametrize("name", ["theirs.json", "theirs.ubj", "theirs.txt"])
def test_file_answers_in_the_line_as_the_estimator_that_saved_it(name, table, iris, four, model_inputs_of, tmp_path):
    if name.endswith(".txt"):
        learnt = lightgbm.LGBMClassifier(**SMALL, verbosity=-1).fit(*table)
        learnt.booster_.save_model(tmp_path / name)
    else:
        learnt = xgboost.XGBClassifier(**SMALL).fit(*table)
        learnt.save_model(tmp_path / name)
    model = Estimator(str(tmp_path / name)).fit(iris, four)
    model_inputs = model_inputs_of(four, iris.test.inputs)
    expected = learnt.predict_proba(model_inputs["features"].astype(np.float64))
    np.testing.assert_allclose(model.outputs(model_inputs), expected, rtol=0, atol=1e-7)
    model.save(tmp_path)
    again = Estimator.load({}, tmp_path)
    np.testing.assert_array_equal(again.outputs(model_inputs), model.outputs(model_inputs))


def test_booster_that_was_trained_without_an_estimator_is_opened(table, tmp_path):
    rows, targets = table
    matrix = xgboost.DMatrix(rows, targets)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, matrix, 4)
    booster.save_model(tmp_path / "plain.json")
    opened = open_estimator(tmp_path / "plain.json", TRUSTED)
    np.testing.assert_allclose(opened.predict_proba(rows), booster.predict(matrix), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "a.json cannot be opened as a model that XGBoost saved: "),
        (
            "a.txt",
            "hello",
            "a.txt is no model that LightGBM saved: it does not begin with the line 'tree'. Save one by ",
        ),
        ("a.pkl", "x", "a.pkl is a pickle, and opening one runs whatever code it holds. "),
        ("a.onnx", "x", "a.onnx cannot be opened as a file of skops: "),
    ],
)
def test_refusal_names_file_and_remedy_in_one_line_when_it_is_another(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        open_estimator(tmp_path / name, TRUSTED)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_the_file_when_there_is_none(tmp_path):
    with pytest.raises(ConfigError) as caught:
        open_estimator(tmp_path / "none.ubj", TRUSTED)
    assert str(caught.value) == (
        f"There is no file {tmp_path}/none.ubj. Set model.estimator to a .skops, .json, .ubj or .txt file."
    )


def test_refusal_names_the_package_when_a_library_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(estimator_files, "XGBOOST_FILES", (".missing",))
    monkeypatch.setattr(estimator_files, "_of_xgboost", lambda _: estimator_files.needed("no_such_library", "boosting"))
    (tmp_path / "a.missing").write_text("")
    with pytest.raises(ConfigError) as caught:
        open_estimator(tmp_path / "a.missing", TRUSTED)
    assert str(caught.value) == (
        "This model needs the package no_such_library, which is not installed. In a checkout of maas: "
        "pip install '.[boosting]'"
    )
