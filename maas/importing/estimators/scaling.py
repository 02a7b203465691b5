"""Transformers of numbers in float64; ONNX's own operators for them compute in float32."""

from typing import Any

import numpy as np
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from maas.errors import ExportError
from maas.importing.estimators.drawing import Method, drawn
from maas.importing.estimators.table import DOUBLE, Drawing, Table, joined, number, one_column, total


@drawn.register(StandardScaler)
def _standardised(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    centred = estimator.mean_ if estimator.with_mean else None
    return _shifted(table.value, centred, estimator.scale_ if estimator.with_std else None, draft)


@drawn.register(RobustScaler)
def _robust(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    return _shifted(table.value, getattr(estimator, "center_", None), getattr(estimator, "scale_", None), draft)


@drawn.register(MaxAbsScaler)
def _by_largest(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    return _shifted(table.value, None, estimator.scale_, draft)


def _shifted(value: str, shift: Any, scale: Any, draft: Drawing) -> str:
    """Returns (x - shift) / scale, each left out where it is None."""
    if shift is not None:
        value = draft.add("Sub", value, number(draft, np.asarray(shift)[None]))
    return value if scale is None else draft.add("Div", value, number(draft, np.asarray(scale)[None]))


@drawn.register(MinMaxScaler)
def _between(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    scaled = draft.add("Mul", table.value, number(draft, estimator.scale_[None]))
    found = draft.add("Add", scaled, number(draft, estimator.min_[None]))
    if not estimator.clip:
        return found
    low, high = estimator.feature_range
    return draft.add("Max", draft.add("Min", found, number(draft, high)), number(draft, low))


@drawn.register(SimpleImputer)
def _imputed(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    filled = np.asarray(estimator.statistics_, dtype=np.float64)
    empty = np.isnan(filled) & (not estimator.keep_empty_features)
    statistics = number(draft, np.nan_to_num(filled)[None])
    value = draft.add("Where", _is_missing(table.value, estimator.missing_values, draft), statistics, table.value)
    kept = Table(value, len(filled)).picked(np.flatnonzero(~empty), draft).value
    if not estimator.add_indicator:
        return kept
    return joined([kept, drawn(estimator.indicator_, table, draft, "transform")], draft)


@drawn.register(MissingIndicator)
def _indicated(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    chosen = table.picked(estimator.features_, draft)
    return draft.add("Cast", _is_missing(chosen.value, estimator.missing_values, draft), to=DOUBLE)


def _is_missing(value: str, missing: Any, draft: Drawing) -> str:
    if isinstance(missing, float) and np.isnan(missing):
        return draft.add("IsNaN", value)
    return draft.add("Equal", value, number(draft, float(missing)))


@drawn.register(KBinsDiscretizer)
def _binned(estimator: Any, table: Table, draft: Drawing, _: Method) -> str:
    if table.width != len(estimator.bin_edges_):
        raise ExportError("KBinsDiscretizer reads a table of unknown width, and cannot be exported.")
    found = []
    for column, edges in enumerate(estimator.bin_edges_):
        inner = number(draft, edges[None, 1:-1])
        passed = draft.add("GreaterOrEqual", one_column(draft, table.value, column), inner)
        place = total(draft, draft.add("Cast", passed, to=DOUBLE))  # (N, 1)
        if estimator.encode != "ordinal":
            is_place = draft.add("Equal", place, number(draft, np.arange(float(len(edges) - 1))[None]))
            place = draft.add("Cast", is_place, to=DOUBLE)
        found.append(place)
    return joined(found, draft)
