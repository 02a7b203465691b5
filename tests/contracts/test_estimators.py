"""Every classifier and regressor of scikit-learn answers as it does there, or is refused in one line."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import all_estimators

from maas.data.sources import scikit_learn
from maas.data.splits import Splits, prepare
from maas.errors import ConfigError
from maas.exporting.edges import edge_rows
from maas.importing.scikit_learn import Estimator
from maas.runtime.processors.array import ArrayProcessor

REFUSED = {
    "CCA": "cannot learn from these rows",
    "CategoricalNB": "does not take these rows|its graph does not run|cannot learn from these rows",
    "ClassifierChain": "cannot learn from these rows",
    "FixedThresholdClassifier": "Only binary classification is supported",
    "GaussianProcessClassifier": "skl2onnx and ONNX Runtime do not agree on it",
    "IsotonicRegression": "cannot learn from these rows",
    "KernelRidge": "neither maas nor skl2onnx knows it",
    "LabelPropagation": "neither maas nor skl2onnx knows it",
    "LabelSpreading": "neither maas nor skl2onnx knows it",
    "LinearSVC": "gives no probabilities",
    "MultiOutputClassifier": "cannot learn from these rows",
    "MultiOutputRegressor": "cannot learn from these rows",
    "MultiTaskElasticNet": "cannot learn from these rows",
    "MultiTaskElasticNetCV": "cannot learn from these rows",
    "MultiTaskLasso": "cannot learn from these rows",
    "MultiTaskLassoCV": "cannot learn from these rows",
    "NearestCentroid": "neither maas nor skl2onnx knows it",
    "NuSVC": "gives no probabilities",
    "OneVsOneClassifier": "gives no probabilities",
    "OutputCodeClassifier": "gives no probabilities",
    "PLSCanonical": "cannot learn from these rows",
    "PassiveAggressiveClassifier": "gives no probabilities",
    "Perceptron": "gives no probabilities",
    "QuadraticDiscriminantAnalysis": "cannot learn from these rows",
    "RANSACRegressor": "cannot learn from these rows",
    "RadiusNeighborsClassifier": "skl2onnx and ONNX Runtime do not agree on it",
    "RegressorChain": "cannot learn from these rows",
    "RidgeClassifier": "gives no probabilities",
    "RidgeClassifierCV": "gives no probabilities",
    "SGDClassifier": "gives no probabilities",
    "SVC": "gives no probabilities",
    "TunedThresholdClassifierCV": "Only binary classification is supported",
}
"""Estimators that may be refused, and the reason; on which of the sets, scikit-learn itself decides for some."""
BY_DEFAULT = {"HistGradientBoostingClassifier", "LinearSVC", "StackingRegressor", "LabelSpreading", "AdaBoostRegressor"}


def estimators() -> Iterator[Any]:
    """Yields every classifier and regressor; most of them in the slow tier."""
    for kind in ("classifier", "regressor"):
        for name, made in all_estimators(type_filter=kind):
            marks = () if name in BY_DEFAULT else (pytest.mark.slow,)
            yield pytest.param(kind, name, made, id=name, marks=marks)


def fresh(name: str, made: Any, kind: str) -> Any:
    """Returns an estimator at its defaults, with linear ones inside where it wants others."""
    inner = LogisticRegression(max_iter=500) if kind == "classifier" else Ridge()
    more = {"voting": "soft"} if name == "VotingClassifier" else {}
    for arguments in ({"estimator": inner}, {}, {"estimators": [("a", inner), ("b", type(inner)())], **more}):
        try:
            return made(**arguments)
        except TypeError:
            continue
    raise AssertionError(f"{name} cannot be made")


@pytest.fixture(scope="module")
def sets() -> dict[str, list[Splits]]:
    """Three labels, two labels; numbers to predict."""
    three, two, numbers = (
        scikit_learn(f"sklearn.datasets.load_{name}") for name in ("iris", "breast_cancer", "diabetes")
    )
    return {
        "classifier": [prepare(three, 0.2, 0.2), prepare(two, 0.2, 0.2)],
        "regressor": [prepare(numbers, 0.2, 0.2, target="number")],
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "name", "made"), list(estimators()))
def test_answers_are_scikit_learns_or_refused_in_one_line_for_every_estimator(kind, name, made, sets, tmp_path):
    for splits in sets[kind]:
        processor = ArrayProcessor([len(splits.train.inputs[0])])
        usual = splits.test.inputs
        try:
            model = Estimator(fresh(name, made, kind)).fit(splits, processor)
            model_inputs = processor.batch(processor.preprocess(usual))
            edges = edge_rows(processor, usual[:2], model.thresholds(model_inputs))
            model_inputs = processor.batch(
                processor.preprocess([*usual, *(edge.row for edge in edges if edge.kind == "equal")])
            )
            expected = model.outputs(model_inputs)
        except ConfigError as error:
            message = str(error)
            assert name in REFUSED, message
            assert len(message.splitlines()) == 1
            assert re.search(REFUSED[name], message), message
            continue
        examples, axes = (
            {model_input: array[:4] for model_input, array in model_inputs.items()},
            {"features": {0: "batch"}},
        )
        model.write_onnx(tmp_path / "model.onnx", examples=examples, axes=axes, output="answer", opset=20)
        (found,) = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run(
            None, model_inputs
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        if kind == "classifier":
            np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
