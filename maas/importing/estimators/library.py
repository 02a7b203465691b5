"""Plain estimators as ONNX, by skl2onnx."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from sklearn.base import BaseEstimator

from maas.errors import ExportError, one_line
from maas.importing.base import needed
from maas.importing.estimators.table import DOUBLE, FLOAT, EstimatorGraphBuilder, GraphTable, one_column

TABLE = "table"
SKL2ONNX_ML_OPSET = 3
"""Of ai.onnx.ml, in what skl2onnx writes; its operators mean the same in 5, but for those of trees, which are ours."""


def by_skl2onnx(estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder, method: str) -> str:
    """Adds what skl2onnx makes of an estimator, in float64 where ONNX Runtime has what it takes, else in float32.

    Returns:
        float64 (N, K).

    Raises:
        ExportError: skl2onnx does not know it, or ONNX Runtime does not run what it writes.
    """
    width = table.width if table.width > 0 else estimator.n_features_in_
    types, name = needed("skl2onnx.common.data_types"), type(estimator).__name__
    if type(estimator) not in needed("skl2onnx._supported_operators").sklearn_operator_name_map:
        raise ExportError(f"{name} cannot be exported: neither maas nor skl2onnx knows it.")
    reasons: list[str] = []
    for kind, given in ((types.DoubleTensorType, DOUBLE), (types.FloatTensorType, FLOAT)):
        with quiet_converters():
            try:
                model = _converted(estimator, kind([None, width]), method, builder.opset)
                _require_running(model, width, np.float64 if given == DOUBLE else np.float32)
            except Exception as error:  # noqa: BLE001 - converters and ONNX Runtime raise whatever they raise
                reasons.append(one_line(error))
                continue
        value = table.value if given == DOUBLE else builder.add("Cast", table.value, to=FLOAT)
        found = builder.add("Cast", builder.embed(model, {TABLE: value})[-1], to=DOUBLE)
        return _in_two_axes(found, estimator, method, builder)
    raise ExportError(f"{name} cannot be exported: skl2onnx and ONNX Runtime do not agree on it: {reasons[-1]}")


def _converted(estimator: BaseEstimator, kind: object, method: str, opset: int) -> onnx.ModelProto:
    options = {"zipmap": False} if method in ("predict_proba", "decision_function") else {}
    if method == "decision_function":
        options["raw_scores"] = True
    model: onnx.ModelProto = needed("skl2onnx").to_onnx(
        estimator,
        initial_types=[(TABLE, kind)],
        target_opset={"": opset, "ai.onnx.ml": SKL2ONNX_ML_OPSET},
        options={id(estimator): options} if options else None,
    )
    return model


def _require_running(model: onnx.ModelProto, width: int, dtype: type[np.floating[Any]]) -> None:
    ort.set_default_logger_severity(4)  # what it cannot run it also writes to stderr
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    session.run(None, {TABLE: np.zeros((2, width), dtype=dtype)})


def _in_two_axes(found: str, estimator: BaseEstimator, method: str, builder: EstimatorGraphBuilder) -> str:
    if method == "predict":
        return builder.add("Reshape", found, builder.constant([-1, 1], np.int64))
    if method == "decision_function" and len(estimator.classes_) == 2:  # (-z, z)
        return one_column(builder, found, 1)
    return builder.add("Flatten", found, axis=1)


@contextlib.contextmanager
def quiet_converters() -> Iterator[None]:
    """Leaves out what converters print and warn of."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
