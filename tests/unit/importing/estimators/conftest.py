"""Graphs of estimators, answered by ONNX Runtime and by onnx's reference evaluator."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from onnx.reference import ReferenceEvaluator
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from maas.importing.frames import Frame
from maas.importing.scikit_learn_graph import ESTIMATOR_OUTPUT, converted

REFERENCE_ROWS = 6


@pytest.fixture(scope="session")
def wine() -> tuple[np.ndarray, np.ndarray]:
    """178 rows of 13 numbers, 3 labels."""
    return load_wine(return_X_y=True)


@pytest.fixture(scope="session")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 rows of 30 numbers, 2 labels."""
    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="session")
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 rows of 10 numbers, and a number to predict."""
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="session")
def holes() -> Callable[[np.ndarray], np.ndarray]:
    """`holes(table)`: the table without a fifth of its values."""

    def make(table: np.ndarray) -> np.ndarray:
        found = np.array(table, dtype=np.float64)
        found[np.random.default_rng(0).random(found.shape) < 0.2] = np.nan
        return found

    return make


@pytest.fixture(scope="session")
def answered() -> Callable[..., np.ndarray]:
    """`answered(estimator, table)`: by its graph, (N, K); the reference evaluator says the same of a few rows."""

    def answer(estimator: Any, table: np.ndarray | dict[str, np.ndarray], frame: Frame | None = None) -> np.ndarray:
        model_inputs = table if isinstance(table, dict) else {"table": np.asarray(table)}
        model = converted(estimator, model_inputs, frame, classifies=is_classifier(estimator), opset=20)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # as bundles do: more threads add up leaves in another order
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run([ESTIMATOR_OUTPUT], model_inputs)
        few = {name: array[:REFERENCE_ROWS] for name, array in model_inputs.items()}
        with np.errstate(invalid="ignore"):
            (reference,) = ReferenceEvaluator(model).run([ESTIMATOR_OUTPUT], few)
        np.testing.assert_allclose(reference, found[:REFERENCE_ROWS], rtol=1e-12, atol=1e-12)
        return found if is_classifier(estimator) else found[:, 0]

    return answer


@pytest.fixture(scope="session")
def trips() -> pd.DataFrame:
    """400 rows of two numbers and two categories, some of each missing; made of wine's numbers."""
    table, labels = load_wine(return_X_y=True)
    drawn = np.random.default_rng(1).integers(0, len(table), 400)
    frame = pd.DataFrame({"alcohol": table[drawn, 0], "proline": table[drawn, 12] + 1.7e9})
    frame["hue"] = pd.Categorical(np.where(table[drawn, 10] > 1, "red", "brick"))
    frame["grade"] = pd.Categorical([f"g{int(value) % 5}" for value in table[drawn, 4]])
    frame["label"] = labels[drawn]
    frame.loc[::7, "alcohol"] = np.nan
    frame.loc[::11, "grade"] = None
    return frame
