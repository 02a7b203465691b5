"""Steps of pipelines, and columns by name."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from maas.errors import ExportError
from maas.importing.estimators.dispatch import EstimatorMethod, add_estimator
from maas.importing.estimators.lookups import choices_of, looked_up
from maas.importing.estimators.table import EstimatorGraphBuilder, GraphTable, joined, number

ENCODERS = OneHotEncoder | OrdinalEncoder | TargetEncoder
FUNCTIONS = {np.abs: "Abs", np.exp: "Exp", np.log: "Log", np.sqrt: "Sqrt", np.negative: "Neg"}


@add_estimator.register(Pipeline)
def _pipeline(estimator: Pipeline, table: GraphTable, builder: EstimatorGraphBuilder, method: EstimatorMethod) -> str:
    *before, (_, last) = estimator.steps
    if before and len(table.texts) == table.width:  # what is between two steps may be texts as well
        table = transformed(estimator[:-1], table, builder)
        before = []
    for _, step in before:
        table = transformed(step, table, builder)
    if method == "transform":
        return transformed(last, table, builder).value
    return add_estimator(last, table, builder, method)


@add_estimator.register(FeatureUnion)
def _union(estimator: FeatureUnion, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod) -> str:
    found = [
        _weighted(estimator, name, transformed(one, table, builder).value, builder)
        for name, one in estimator.transformer_list
        if one != "drop"
    ]
    return joined(found, builder)


@add_estimator.register(ColumnTransformer)
def _by_columns(
    estimator: ColumnTransformer, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    found = []
    for name, one, _ in estimator.transformers_:
        columns = estimator._transformer_to_input_indices[name]  # noqa: SLF001
        if len(columns) and one != "drop":
            part = table.picked(columns, builder)
            found.append(_weighted(estimator, name, transformed(one, part, builder).value, builder))
    return joined(found, builder)


@add_estimator.register(FunctionTransformer)
def _function(
    estimator: FunctionTransformer, table: GraphTable, builder: EstimatorGraphBuilder, _: EstimatorMethod
) -> str:
    if estimator.func is None:
        return table.value
    if estimator.func is np.log1p:
        return builder.add("Log", builder.add("Add", table.value, number(builder, 1)))
    if estimator.func in FUNCTIONS and not estimator.kw_args:
        return builder.add(FUNCTIONS[estimator.func], table.value)
    name = getattr(estimator.func, "__name__", repr(estimator.func))
    raise ExportError(
        f"FunctionTransformer calls {name}, a function of Python that a graph cannot hold. Take one of "
        f"{', '.join(one.__name__ for one in [*FUNCTIONS, np.log1p])}, or compute the column before."
    )


def transformed(transformer: BaseEstimator, table: GraphTable, builder: EstimatorGraphBuilder) -> GraphTable:
    """Returns what a transformer makes of a table.

    Raises:
        ExportError: it reads numbers and categories together.
    """
    if isinstance(transformer, str) or transformer is None:  # "passthrough"
        return table
    composite = isinstance(transformer, ColumnTransformer | FeatureUnion | Pipeline)
    if isinstance(transformer, ENCODERS) or len(table.texts) == table.width:
        value = looked_up(transformer, table, choices_of(transformer, table), builder)
    elif not table.texts or composite:
        value = add_estimator(transformer, table, builder, "transform")
    else:
        raise ExportError(
            f"{type(transformer).__name__} reads numbers and categories together: {', '.join(table.names)}. Give each "
            "kind its own transformer in a ColumnTransformer."
        )
    names = _names_of(transformer)
    return GraphTable(value, _width_of(transformer, table) if names is None else len(names), names or ())


def _width_of(transformer: BaseEstimator, table: GraphTable) -> int:
    return table.width if isinstance(transformer, FunctionTransformer) else -1


def _names_of(transformer: BaseEstimator) -> tuple[str, ...] | None:
    try:
        return tuple(transformer.get_feature_names_out())
    except (AttributeError, ValueError):  # some have none, some want those of their input
        return None


def _weighted(estimator: BaseEstimator, name: str, value: str, builder: EstimatorGraphBuilder) -> str:
    weight = (estimator.transformer_weights or {}).get(name)
    return value if weight is None else builder.add("Mul", value, number(builder, weight))
