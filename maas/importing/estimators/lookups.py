"""Transformers of categories as look-ups.

For each value that a column may have, the graph holds what scikit-learn's own transformer makes of it, so that every
setting of every encoder is kept; it must treat each column by itself.
"""

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from maas.errors import ExportError, one_line
from maas.importing.estimators.table import (
    DOUBLE,
    INT64,
    EstimatorGraphBuilder,
    GraphTable,
    joined,
    number,
    one_column,
    total,
)

CHECKED_ROWS = 200
CategoryChoices = Sequence[tuple[str | None, ...] | NDArray[np.float64]]
"""Of each column the texts that its positions stand for; or numbers, of which the first stands for all others."""


def frame_of(columns: Mapping[str, NDArray[Any]], texts: Mapping[str, tuple[str | None, ...]]) -> pd.DataFrame:
    """Returns columns as a frame; those of categories by their positions, as pandas' categories.

    Args:
        columns: name → (N,).
        texts: for each column of categories, the text of each position; None is a missing one.
    """
    found: dict[str, NDArray[Any] | pd.Categorical] = dict(columns)
    for name in texts.keys() & columns.keys():
        codes = np.asarray(columns[name], dtype=np.int64) - 1  # position 0 is missing
        found[name] = pd.Categorical.from_codes(codes, categories=list(texts[name][1:]))
    return pd.DataFrame(found)


def choices_of(transformer: BaseEstimator, table: GraphTable) -> CategoryChoices:
    """Returns which values each column of a table may have, as far as a transformer distinguishes them."""
    if len(table.texts) == table.width:
        return [table.texts[column] for column in range(table.width)]
    choices: list[tuple[str | None, ...] | NDArray[np.float64]] = []
    for column, known in enumerate(transformer.categories_):
        if column in table.texts:
            choices.append(table.texts[column])
        else:
            numbers = np.asarray(known, dtype=np.float64)
            present = numbers[~np.isnan(numbers)]
            other = np.nextafter(present.max(initial=0), np.inf)
            choices.append(np.array([other, np.nan, *present]))
    return choices


def looked_up(
    transformer: BaseEstimator, table: GraphTable, choices: CategoryChoices, builder: EstimatorGraphBuilder
) -> str:
    """Returns what a transformer makes of columns of categories, float64 (N, K).

    Raises:
        ExportError: it refuses one of the values, or reads several columns together.
    """
    counts = [len(one) for one in choices]
    usual = np.array([min(1, count - 1) if column in table.texts else count - 1 for column, count in enumerate(counts)])
    rows = np.tile(usual, (sum(counts), 1))
    starts = np.cumsum([0, *counts])
    for column, count in enumerate(counts):
        rows[starts[column] : starts[column + 1], column] = np.arange(count)
    found, base = _outputs(transformer, table, choices, rows), _outputs(transformer, table, choices, usual[None])[0]
    parts, order = list[str](), list[int]()
    changed: list[NDArray[np.bool_]] = []
    for column, (start, end) in enumerate(pairwise(starts)):
        changed.append(_varying(found[start:end], base))
        constant = ~_varying(found, base) & (column == 0)  # goes with the first column
        own: NDArray[np.bool_] = np.logical_or(changed[-1], constant)
        order += np.flatnonzero(own).tolist()
        if own.any():
            place = _place(table, column, choices[column], builder)
            parts.append(_gathered(found[start:end, own], place, builder))
    _require_apart(transformer, table, choices, found, base, changed)
    return builder.add("Gather", joined(parts, builder), builder.constant(np.argsort(order), np.int64), axis=1)


def _varying(found: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.bool_]:
    varying: NDArray[np.bool_] = np.any(_differs(found, base), axis=0)
    return varying


def _place(
    table: GraphTable,
    column: int,
    choices: tuple[str | None, ...] | NDArray[np.float64],
    builder: EstimatorGraphBuilder,
) -> str:
    """Returns the position of each row's value among the choices, int64 (N,)."""
    one = one_column(builder, table.value, column)  # (N, 1)
    if column not in table.texts:
        is_missing = builder.add("Cast", builder.add("IsNaN", one), to=DOUBLE)  # position 1
        is_choice = builder.add(
            "Cast", builder.add("Equal", one, number(builder, np.asarray(choices)[None, 2:])), to=DOUBLE
        )
        places = builder.add("Mul", is_choice, number(builder, np.arange(2.0, len(choices))[None]))
        one = builder.add("Add", is_missing, total(builder, places))
    return builder.add("Reshape", builder.add("Cast", one, to=INT64), builder.constant([-1], np.int64))


def _gathered(values: NDArray[np.float64], place: str, builder: EstimatorGraphBuilder) -> str:
    """Returns the rows of `values` (positions, K) that stand at a place, float64 (N, K)."""
    is_small = bool((np.isfinite(values) & (values >= 0) & (values < 256) & (values % 1 == 0)).all())
    found = builder.add("Gather", builder.constant(values, np.uint8 if is_small else np.float64), place, axis=0)
    return builder.add("Cast", found, to=DOUBLE)


def _outputs(
    transformer: BaseEstimator, table: GraphTable, choices: CategoryChoices, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns what scikit-learn makes of rows of positions."""
    columns = [
        rows[:, column] if column in table.texts else np.asarray(one)[rows[:, column]]
        for column, one in enumerate(choices)
    ]
    given: NDArray[Any] | pd.DataFrame = np.stack(columns, axis=1)
    if table.names:
        texts = {table.names[column]: one for column, one in table.texts.items()}
        given = frame_of(dict(zip(table.names, columns, strict=True)), texts)
    try:
        with warnings.catch_warnings(action="ignore"):  # of unknown categories
            found = transformer.transform(given)
    except ValueError as error:
        where = f" of {', '.join(table.names)}" if table.names else ""
        raise ExportError(
            f"{type(transformer).__name__} refuses categories{where} that rows may hold: {one_line(error)} Let it take "
            "unknown and missing ones, e.g. handle_unknown=ignore."
        ) from error
    dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    return dense.astype(np.float64).reshape(len(rows), -1)


def _require_apart(
    transformer: BaseEstimator,
    table: GraphTable,
    choices: CategoryChoices,
    found: NDArray[np.float64],
    base: NDArray[np.float64],
    changed: Sequence[NDArray[np.bool_]],
) -> None:
    """Checks on rows drawn at random that each output depends on one column alone."""
    counts = [len(one) for one in choices]
    drawn_rows = np.random.default_rng(0).integers(0, counts, size=(CHECKED_ROWS, len(counts)))
    apart = np.tile(base, (CHECKED_ROWS, 1))
    for column, start in enumerate(np.cumsum([0, *counts[:-1]])):
        apart = np.where(changed[column], found[start + drawn_rows[:, column]], apart)
    if _differs(apart, _outputs(transformer, table, choices, drawn_rows)).any() or np.sum(changed, axis=0).max() > 1:
        raise ExportError(
            f"{type(transformer).__name__} reads several columns of categories together: {', '.join(table.names)}. "
            "Take one that treats each column by itself."
        )


def _differs(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = (left != right) & ~(np.isnan(left) & np.isnan(right))
    return differs
