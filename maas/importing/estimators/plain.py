"""Small estimators: constants, another scale of the target, normal distributions."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from maas.errors import ExportError
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import DOUBLE, EstimatorGraphBuilder, GraphTable, number, one_column

INVERSES = {np.exp: ("Exp", 0.0), np.expm1: ("Exp", -1.0), np.log: ("Log", 0.0), np.sqrt: ("Sqrt", 0.0)}
"""Function of numpy → operator, and what is added after it."""


@add_estimator.register(DummyClassifier)
@add_estimator.register(DummyRegressor)
def _constant(
    estimator: DummyClassifier | DummyRegressor,
    table: GraphTable,
    builder: EstimatorGraphBuilder,
    method: EstimatorMethod,
) -> str:
    if estimator.strategy in ("stratified", "uniform"):
        raise ExportError(
            f"{type(estimator).__name__} answers at random with strategy={estimator.strategy}. Choose another strategy."
        )
    row = np.zeros((1, estimator.n_features_in_))
    values = estimator.predict_proba(row) if method == "predict_proba" else estimator.constant_
    is_missing = builder.add("IsNaN", one_column(builder, table.value, 0))
    none = builder.add("Mul", builder.add("Cast", is_missing, to=DOUBLE), number(builder, 0))  # (N, 1)
    return builder.add("Add", none, number(builder, np.reshape(values, (1, -1))))


@add_estimator.register(GaussianNB)
def _normal(estimator: GaussianNB, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    """Draws the softmax of ln p(label) - Σ (ln(2πσ²) + (x - μ)² / σ²) / 2 over columns."""
    variances = estimator.var_
    fixed = np.log(estimator.class_prior_) - np.log(2 * np.pi * variances).sum(axis=1) / 2
    rows = builder.add("Unsqueeze", table.value, builder.constant([1], np.int64))  # (N, 1, D)
    distances = builder.add("Sub", rows, number(builder, estimator.theta_))  # (N, K, D)
    weighted = builder.add("Div", builder.add("Mul", distances, distances), number(builder, 2 * variances))
    summed = builder.add("ReduceSum", weighted, builder.constant([2], np.int64), keepdims=0)
    return builder.add("Softmax", builder.add("Sub", number(builder, fixed[None]), summed), axis=1)


@add_estimator.register(TransformedTargetRegressor)
def _transformed_target(
    estimator: TransformedTargetRegressor, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    found, scaler = add_estimator(estimator.regressor_, table, builder, "predict"), estimator.transformer_
    if isinstance(scaler, StandardScaler):
        scaled = builder.add("Mul", found, number(builder, 1 if scaler.scale_ is None else scaler.scale_[None]))
        return builder.add("Add", scaled, number(builder, 0 if scaler.mean_ is None else scaler.mean_[None]))
    if isinstance(scaler, MinMaxScaler):
        return builder.add(
            "Div", builder.add("Sub", found, number(builder, scaler.min_[None])), number(builder, scaler.scale_[None])
        )
    inverse = scaler.inverse_func if isinstance(scaler, FunctionTransformer) else None
    if isinstance(scaler, FunctionTransformer) and inverse is None:
        return found
    if inverse not in INVERSES:
        raise ExportError(
            f"TransformedTargetRegressor inverts its target by {getattr(inverse, '__name__', type(scaler).__name__)}, "
            f"which cannot be exported. Take {', '.join(one.__name__ for one in INVERSES)}, or a StandardScaler or "
            "MinMaxScaler."
        )
    operator, added = INVERSES[inverse]
    return builder.add("Add", builder.add(operator, found), number(builder, added))
