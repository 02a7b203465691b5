"""Small real data that imported models meet."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from maas.data.sources import scikit_learn
from maas.data.splits import Splits, prepare
from maas.runtime.processors.array import ArrayProcessor

AXES = {"features": {0: "batch"}}


@pytest.fixture(scope="session")
def iris() -> Splits:
    """150 rows of 4 numbers, 3 labels."""
    return prepare(scikit_learn("sklearn.datasets.load_iris"), 0.2, 0.2)


@pytest.fixture(scope="session")
def diabetes() -> Splits:
    """442 rows of 10 numbers, and a number to predict."""
    return prepare(scikit_learn("sklearn.datasets.load_diabetes"), 0.2, 0.2, target="number")


@pytest.fixture(scope="session")
def four() -> ArrayProcessor:
    """Rows of 4 numbers."""
    return ArrayProcessor([4])


@pytest.fixture(scope="session")
def cancer() -> SimpleNamespace:
    """Two labels in an order that is not scikit-learn's: splits, a processor."""
    splits = prepare(scikit_learn("sklearn.datasets.load_breast_cancer"), 0.2, 0.2)
    return SimpleNamespace(splits=splits, processor=ArrayProcessor([30]))


@pytest.fixture(scope="session")
def model_inputs_of() -> Callable[..., dict[str, Any]]:
    """`feeds_of(processor, rows)`."""
    return lambda processor, rows: processor.batch(processor.preprocess(rows))


@pytest.fixture(scope="session")
def written() -> Callable[..., ort.InferenceSession]:
    """`written(model, folder, model inputs)` writes a model for four rows of model inputs and opens what it wrote."""

    def write(model: Any, folder: Path, model_inputs: dict[str, Any], output: str = "probabilities", opset: int = 20):
        examples = {name: array[:4] for name, array in model_inputs.items()}
        axes = {name: {0: "batch"} for name in model_inputs}
        model.write_onnx(folder / "written.onnx", examples=examples, axes=axes, output=output, opset=opset)
        return ort.InferenceSession(folder / "written.onnx", providers=["CPUExecutionProvider"])

    return write


@pytest.fixture(scope="session")
def linear() -> Callable[..., onnx.ModelProto]:
    """`linear(weights, shape)`: a file that multiplies its input by weights, made for a batch of any size or of one."""

    def make(
        weights: np.ndarray, batch: int | str = "N", kind: int = TensorProto.FLOAT, opset: int = 17, name: str = "x"
    ) -> onnx.ModelProto:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        graph = helper.make_graph(
            [helper.make_node("MatMul", [name, "weights"], ["scores"], name="multiply")],
            "linear",
            [helper.make_tensor_value_info(name, kind, [batch, weights.shape[0]])],
            [helper.make_tensor_value_info("scores", kind, [batch, weights.shape[1]])],
            [numpy_helper.from_array(weights.astype(dtype), "weights")],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    return make
