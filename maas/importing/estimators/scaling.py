"""Transformers of numbers in float64; ONNX's own operators for them compute in float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from maas.errors import ExportError
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.table import DOUBLE, EstimatorGraphBuilder, GraphTable, joined, number, one_column, total


@add_estimator.register(StandardScaler)
def _standardised(
    estimator: StandardScaler, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    centred = estimator.mean_ if estimator.with_mean else None
    return _shifted(table.value, centred, estimator.scale_ if estimator.with_std else None, builder)


@add_estimator.register(RobustScaler)
def _robust(estimator: RobustScaler, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    return _shifted(table.value, getattr(estimator, "center_", None), getattr(estimator, "scale_", None), builder)


@add_estimator.register(MaxAbsScaler)
def _by_largest(estimator: MaxAbsScaler, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    found = _shifted(table.value, None, estimator.scale_, builder)
    is_clipped = getattr(estimator, "clip", False)  # an older scikit-learn may lack it
    return _clipped(found, -1, 1, builder) if is_clipped else found


def _shifted(value: str, shift: NDArray[Any] | None, scale: NDArray[Any] | None, builder: EstimatorGraphBuilder) -> str:
    """Returns (x - shift) / scale, each left out where it is None."""
    if shift is not None:
        value = builder.add("Sub", value, number(builder, np.asarray(shift)[None]))
    return value if scale is None else builder.add("Div", value, number(builder, np.asarray(scale)[None]))


@add_estimator.register(MinMaxScaler)
def _between(estimator: MinMaxScaler, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    scaled = builder.add("Mul", table.value, number(builder, estimator.scale_[None]))
    found = builder.add("Add", scaled, number(builder, estimator.min_[None]))
    if not estimator.clip:
        return found
    low, high = estimator.feature_range
    return _clipped(found, low, high, builder)


def _clipped(value: str, low: float, high: float, builder: EstimatorGraphBuilder) -> str:
    return builder.add("Max", builder.add("Min", value, number(builder, high)), number(builder, low))


@add_estimator.register(SimpleImputer)
def _imputed(estimator: SimpleImputer, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    filled = np.asarray(estimator.statistics_, dtype=np.float64)
    empty = np.isnan(filled) & (not estimator.keep_empty_features)
    statistics = number(builder, np.nan_to_num(filled)[None])
    value = builder.add("Where", _is_missing(table.value, estimator.missing_values, builder), statistics, table.value)
    kept = GraphTable(value, len(filled)).picked(np.flatnonzero(~empty), builder).value
    if not estimator.add_indicator:
        return kept
    return joined([kept, add_estimator(estimator.indicator_, table, builder, "transform")], builder)


@add_estimator.register(MissingIndicator)
def _indicated(
    estimator: MissingIndicator, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    chosen = table.picked(estimator.features_, builder)
    return builder.add("Cast", _is_missing(chosen.value, estimator.missing_values, builder), to=DOUBLE)


def _is_missing(value: str, missing: float, builder: EstimatorGraphBuilder) -> str:
    if isinstance(missing, float) and np.isnan(missing):
        return builder.add("IsNaN", value)
    return builder.add("Equal", value, number(builder, float(missing)))


@add_estimator.register(KBinsDiscretizer)
def _binned(estimator: KBinsDiscretizer, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    if table.width != len(estimator.bin_edges_):
        raise ExportError("KBinsDiscretizer reads a table of unknown width, and cannot be exported.")
    found = []
    for column, edges in enumerate(estimator.bin_edges_):
        inner = number(builder, edges[None, 1:-1])
        passed = builder.add("GreaterOrEqual", one_column(builder, table.value, column), inner)
        place = total(builder, builder.add("Cast", passed, to=DOUBLE))  # (N, 1)
        if estimator.encode != "ordinal":
            is_place = builder.add("Equal", place, number(builder, np.arange(float(len(edges) - 1))[None]))
            place = builder.add("Cast", is_place, to=DOUBLE)
        found.append(place)
    return joined(found, builder)
