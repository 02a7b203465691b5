"""Where a model loses: rows that have something in common, and how good predictions of these are."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.metrics import wilson
from maas.evidence.resampling import Z_95
from maas.records.evidence import Interval
from maas.reporting.figures import shown_number

LEAST_ROWS = 20
"""Rows of a slice; the interval of fewer says nothing."""
MOST_VALUES = 12
"""Values of a column of names that are slices: the most frequent ones."""
PARTS = 4
RowMask = NDArray[np.bool_]


@dataclass(frozen=True)
class RowSlice:
    """Rows that have something in common.

    Args:
        key: key of the sentence that names what they share.
        values: what stands in its places.
        rows: number of them.
        value: fraction of right predictions, or mean absolute error.
    """

    key: str
    values: Mapping[str, object]
    rows: int
    value: Interval


@dataclass(frozen=True)
class SlicedRows:
    """All rows, and the slices in which predictions are worst.

    Args:
        overall: of all rows.
        slices: the worst first.
        is_error: whether values are mean absolute errors, of which less is better.
        found: number of slices that were looked at.
    """

    overall: RowSlice
    slices: tuple[RowSlice, ...]
    is_error: bool
    found: int


def label_slices(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> SlicedRows:
    """Returns the rows of each true label.

    Args:
        confusion: counts (K, K), true labels × predicted ones.
        labels: the K names.
    """
    counts = np.array(confusion)
    made = [
        RowSlice("slice_label", {"label": label}, int(row.sum()), wilson(int(row[place]), int(row.sum())))
        for place, (label, row) in enumerate(zip(labels, counts, strict=True))
        if row.sum()
    ]
    total = int(counts.sum())
    overall = RowSlice("slice_all", {}, total, wilson(int(np.trace(counts)), total))
    return _sorted(overall, made, is_error=False)


def row_slices(inputs: Sequence[Any], goodness: NDArray[Any]) -> SlicedRows:
    """Returns slices by what can be read off raw rows: the length of texts, and the values of columns.

    Args:
        inputs: N raw rows.
        goodness: whether each prediction is right, or how far each is off, (N,).
    """
    is_error = goodness.dtype.kind != "b"
    measure = _mean_error if is_error else _right
    everything = np.ones(len(inputs), dtype=bool)
    overall = RowSlice("slice_all", {}, len(inputs), measure(goodness, everything))
    made = [
        RowSlice(key, values, int(among.sum()), measure(goodness, among))
        for key, values, among in _groups(inputs)
        if LEAST_ROWS <= among.sum() < len(inputs)
    ]
    return _sorted(overall, made, is_error=is_error)


def _sorted(overall: RowSlice, made: Sequence[RowSlice], *, is_error: bool) -> SlicedRows:
    ordered = sorted(made, key=lambda one: one.value.value, reverse=is_error)
    return SlicedRows(overall, tuple(ordered), is_error, len(made))


def _right(goodness: NDArray[Any], among: RowMask) -> Interval:
    return wilson(int(goodness[among].sum()), int(among.sum()))


def _mean_error(goodness: NDArray[Any], among: RowMask) -> Interval:
    """Returns the mean absolute error; its interval is that of a mean of many rows."""
    errors = np.abs(goodness[among])
    mean, half = float(errors.mean()), Z_95 * float(errors.std()) / sqrt(len(errors))
    return Interval(mean, max(0.0, mean - half), mean + half)


def _groups(inputs: Sequence[Any]) -> Iterator[tuple[str, dict[str, object], RowMask]]:
    """Yields key and values of a sentence, and which rows it is true of, (N,)."""
    first = inputs[0]
    if isinstance(first, str):
        yield from _spans("slice_length", {}, [float(len(row)) for row in inputs])
    elif isinstance(first, Mapping):
        for name in first:
            column = [row.get(name) for row in inputs]
            yield from _column(str(name), column)


def _column(name: str, column: Sequence[Any]) -> Iterator[tuple[str, dict[str, object], RowMask]]:
    missing = np.array([value is None or value == "" or value != value for value in column])  # noqa: PLR0124 - NaN
    if missing.any():
        yield "slice_missing", {"column": name}, missing
    there = [value for value, is_missing in zip(column, missing, strict=True) if not is_missing]
    if not there or not all(isinstance(value, str | int | float | bool | np.generic) for value in there):
        return
    counted = Counter(map(str, there))
    is_text = any(isinstance(value, str) for value in there)
    if is_text and len(counted) > len(there) // 2:
        lengths = [
            float("nan") if gone else float(len(str(value))) for value, gone in zip(column, missing, strict=True)
        ]
        yield from _spans("slice_column_length", {"column": name}, lengths)
    elif is_text or len(counted) <= MOST_VALUES:
        names = np.array([None if gone else str(value) for value, gone in zip(column, missing, strict=True)], object)
        for value, _ in counted.most_common(MOST_VALUES):
            yield "slice_value", {"column": name, "value": value}, names == value
    else:
        numbers = [float("nan") if gone else float(value) for value, gone in zip(column, missing, strict=True)]
        yield from _spans("slice_span", {"column": name}, numbers)


def _spans(
    key: str, values: dict[str, object], numbers: Sequence[float]
) -> Iterator[tuple[str, dict[str, object], RowMask]]:
    """Yields a quarter of the rows each, by a number of each row."""
    found = np.array(numbers)
    edges = np.unique(np.nanquantile(found, np.linspace(0, 1, PARTS + 1)))
    for index, (low, high) in enumerate(pairwise(edges)):
        is_last = index == len(edges) - 2
        among = (found >= low) & ((found <= high) if is_last else (found < high))
        yield key, {**values, "low": shown_number(float(low)), "high": shown_number(float(high))}, among
