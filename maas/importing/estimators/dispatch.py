"""Estimators of scikit-learn as nodes of ONNX: each composite draws its parts, and skl2onnx the plain ones.

Every table is float64, as in scikit-learn; where ONNX Runtime has no float64 for an operator, `library` casts.
"""

from functools import singledispatch
from typing import Literal

from sklearn.base import BaseEstimator

from maas.importing.estimators.library import by_skl2onnx
from maas.importing.estimators.table import EstimatorGraphBuilder, GraphTable

EstimatorMethod = Literal["predict_proba", "decision_function", "predict", "transform"]


@singledispatch
def add_estimator(
    estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod
) -> str:
    """Adds nodes that compute what a fitted estimator's method computes.

    Args:
        estimator: fitted.
        table: input of the method.
        builder: builder that takes the nodes.
        method: `predict` is for regressors alone.

    Returns:
        float64 (N, K): K labels, 1 value, 1 score where there are two labels, or the columns of a transformer.

    Raises:
        ExportError: it cannot be written in ONNX.
    """
    return by_skl2onnx(estimator, table, builder, method)


def scores(estimator: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder) -> tuple[str, bool]:
    """Returns what scikit-learn takes for a classifier's response, and whether these are probabilities of all labels.

    It is the decision function where there is one.
    """
    if hasattr(estimator, "decision_function"):
        return add_estimator(estimator, table, builder, "decision_function"), False
    return add_estimator(estimator, table, builder, "predict_proba"), True
