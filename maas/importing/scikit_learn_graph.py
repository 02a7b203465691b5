"""An estimator of scikit-learn as one graph, and whether that graph answers as it does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection._search import BaseSearchCV

from maas.errors import ConfigError, one_line
from maas.importing.base import needed
from maas.importing.blending import BlendedClassifier, BlendedRegressor
from maas.importing.estimators import EstimatorGraphBuilder, GraphTable, add_estimator, load_libraries
from maas.importing.estimators.table import number, total
from maas.importing.frames import Frame, drawn_table
from maas.importing.meaning import Meaning
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS

ESTIMATOR_OUTPUT = "raw"
ML_OPSET = 5
DRY_RUN_ROWS = 25
"""Rows of each label that a copy learns from before the estimator itself does."""
GRAPH_TOLERANCE = 1e-5


def converted(
    estimator: BaseEstimator,
    model_inputs: ModelInputs,
    frame: Frame | None,
    *,
    required: Sequence[int] = (),
    classifies: bool,
    opset: int,
) -> onnx.ModelProto:
    """Returns a fitted estimator as a graph.

    Args:
        estimator: fitted.
        model_inputs: model inputs of any number of rows; the graph's inputs have their names.
        frame: columns by name, or None.
        required: columns of the table; where one is missing, the score is NaN.
        classifies: whether the graph gives probabilities rather than values.
        opset: opset of ONNX; at most the newest that skl2onnx supports.

    Returns:
        A model whose one output is `raw`, float64 (N, K).

    Raises:
        ExportError: a part of it cannot be written in ONNX.
    """
    builder, table, found = _drawn(estimator, model_inputs, frame, classifies, opset)
    if required:
        found = _missing_where(table, required, found, builder)
    builder.add("Identity", found, result=ESTIMATOR_OUTPUT)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), ["batch", *array.shape[1:]])
        for name, array in model_inputs.items()
    ]
    output = helper.make_tensor_value_info(ESTIMATOR_OUTPUT, onnx.TensorProto.DOUBLE, ["batch", None])
    graph = helper.make_graph(builder.nodes, "estimator", inputs, [output], builder.constants)
    versions = [helper.make_opsetid("", builder.opset), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)


def thresholds_of(
    estimator: BaseEstimator, model_inputs: ModelInputs, frame: Frame | None, *, classifies: bool
) -> dict[int, list[float]]:
    """Returns, by column of the table, the thresholds of trees that read it as it is."""
    builder, table, _ = _drawn(estimator, model_inputs, frame, classifies, needed("skl2onnx").__max_supported_opset__)
    return builder.thresholds.get(table.value, {})


def _drawn(
    estimator: BaseEstimator, model_inputs: ModelInputs, frame: Frame | None, classifies: bool, opset: int
) -> tuple[EstimatorGraphBuilder, GraphTable, str]:
    load_libraries()
    builder = EstimatorGraphBuilder(min(opset, needed("skl2onnx").__max_supported_opset__))
    table = drawn_table(model_inputs, frame, builder)
    return builder, table, add_estimator(estimator, table, builder, "predict_proba" if classifies else "predict")


def _missing_where(table: GraphTable, required: Sequence[int], found: str, builder: EstimatorGraphBuilder) -> str:
    """Returns scores that are NaN for the rows that an estimator refuses: the server refuses NaN as well."""
    is_missing = builder.add("IsNaN", table.picked(required, builder).value)
    missing = total(builder, builder.add("Cast", is_missing, to=onnx.TensorProto.DOUBLE))
    return builder.add("Where", builder.add("Greater", missing, number(builder, 0)), number(builder, np.nan), found)


def require_same_scores(
    name: str, model: onnx.ModelProto, model_inputs: ModelInputs, expected: NDArray[np.float32], meaning: Meaning
) -> None:
    """Checks that a graph answers as its estimator.

    Args:
        name: name of the estimator.
        model: the graph.
        model_inputs: rows.
        expected: the estimator's predictions for them.
        meaning: meaning of both scores.

    Raises:
        ConfigError: it does not.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # as bundles do: more threads add up leaves in another order
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = meaning.scores(session.run([ESTIMATOR_OUTPUT], dict(model_inputs))[0])
    except ORT_ERRORS as error:
        raise ConfigError(f"{name} cannot be imported: its graph does not run: {one_line(error)}.") from error
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    allowed = GRAPH_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= allowed:
        raise ConfigError(
            f"{name} cannot be imported: its graph answers {difference:.3g} otherwise than scikit-learn; {allowed:.3g} "
            "is allowed. Choose another estimator (docs/importing.md lists those that work)."
        )


def few_rows(targets: NDArray[Any], labels: int) -> NDArray[np.int64]:
    """Returns positions of the first rows of each label, or of the first rows where targets are numbers."""
    if not labels:
        return np.arange(min(len(targets), 4 * DRY_RUN_ROWS))
    return np.sort(np.concatenate([np.flatnonzero(targets == label)[:DRY_RUN_ROWS] for label in range(labels)]))


def estimator_searched(estimator: BaseEstimator) -> BaseEstimator:
    """Returns what a search tries, or the estimator itself."""
    if isinstance(estimator, BlendedClassifier | BlendedRegressor):
        return clone(estimator).set_params(folds=0)
    return estimator_searched(estimator.estimator) if isinstance(estimator, BaseSearchCV) else estimator
