"""Rows of mixed columns, with missing and unknown values. Imputing is held in the graph; numbers are standardised here.

A graph computes in float32, which separates two moments of 2026 in epoch seconds only where 128 seconds lie between.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from maas.bounds import Count
from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import ArrayFeatures, Features
from maas.runtime.columns import (
    LARGEST,
    LARGEST_FLOAT64,
    LARGEST_INTEGER,
    CodedColumn,
    in_range,
    numbers_of,
    texts_of,
    truths_of,
)
from maas.runtime.dates import DATE_PARTS, DateOrder, date_numbers
from maas.runtime.moments import moments_of_present
from maas.runtime.named_columns import LearntColumns, most_frequent, other_columns, require_named_once
from maas.runtime.processors.base import Array, SingleArrayProcessor, counted_from, in_pieces

COLUMNS_FILE = "columns.json"
SHOWN_CATEGORIES = 100
"""Of each column, in the schema of a row: the most frequent."""


class TabularProcessor(SingleArrayProcessor):
    """Checks columns by name, and turns categories into their positions.

    A row is a dictionary by column, or a list of values: numbers first, then categories, then dates, each in the order
    given here.
    A value that is absent, None, NaN or an empty text is missing. A number is a whole number or a float; a truth value
    is none, nor is a text such as "12.5". A category is a text, a whole number or a truth value; 1, 1.0 and "1" are one
    category. A truth value is the category that spells it, in whatever case: true is "TRUE" where that was learnt.
    A date is a text such as 2026-03-05 14:30, and becomes six numbers, which come after the columns of numbers: year,
    month, day, weekday, hour, and the days since 1970.

    Args:
        numbers: names of the columns of numbers.
        categories: names of the columns of categories.
        max_categories: the most that are learnt of one column, the most frequent; all others are unknown, as is a
            missing one.
        standardize: give each number x as (x − m) / s, with its column's mean and deviation over the training rows,
            computed in float64; false gives numbers as they come. A recipe that leaves it out (null) has true where
            the net takes both `number_means` and `number_deviations`, and so leaves their scale to others.
        double: give numbers in float64 rather than float32. A recipe that leaves it out (null) has true where a model
            of another framework computes in float64.
        dates: names of the columns of dates.
        date_order: order of year, month and day in dates that do not begin with four digits.
        learnt: from training rows; `fit` learns it.

    Raises:
        ConfigError: no column is named, or one twice.
    """

    kind: ClassVar[str] = "tabular"
    modality: ClassVar[str] = "tabular"
    input_name: ClassVar[str] = "row"
    feature: ClassVar[str] = "columns"

    def __init__(
        self,
        numbers: Sequence[str | int] = (),
        categories: Sequence[str | int] = (),
        max_categories: Count = 1000,
        standardize: bool | None = False,
        double: bool | None = False,
        dates: Sequence[str | int] = (),
        date_order: DateOrder = "ymd",
        *,
        learnt: LearntColumns | None = None,
    ) -> None:
        self.numbers = tuple(map(str, numbers))  # YAML reads a name of digits as a whole number
        self.categories = tuple(map(str, categories))
        self.max_categories = max_categories
        self.standardize = bool(standardize)
        self.double = bool(double)
        self.dates = tuple(map(str, dates))
        self.date_order = date_order
        self.columns = self.numbers + self.categories + self.dates
        self.number_names = self.numbers + tuple(f"{name}.{part}" for name in self.dates for part in DATE_PARTS)
        require_named_once(self.columns)
        self._known = frozenset(self.columns)
        self._learnt = learnt or LearntColumns(
            (0.0,) * len(self.number_names), (1.0,) * len(self.number_names), ((),) * len(self.categories)
        )
        self._positions = [
            {category: position for position, category in enumerate(column, start=1)}
            for column in self._learnt.categories
        ]
        self._truths = list(map(truths_of, self._learnt.categories))

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns a processor that knows the categories, means and standard deviations of `rows`."""
        numbers: list[list[NDArray[np.float64]]] = [[] for _ in self.number_names]
        counts: list[Counter[str]] = [Counter() for _ in self.categories]
        start = 0
        for piece in in_pieces(rows):
            with counted_from(start):
                columns = self._by_column(piece)
                for found, values in zip(self._raw_numbers(columns), numbers, strict=True):
                    values.append(found)
                for name, column, count in zip(self.categories, self._categories_in(columns), counts, strict=True):
                    count.update(texts_of(column, name))
            start += len(piece)
        statistics = [moments_of_present(np.concatenate([np.zeros(0), *values])) for values in numbers]
        means, deviations = zip(*statistics, strict=True) if statistics else ((), ())
        learnt = LearntColumns(means, deviations, tuple(map(partial(most_frequent, self.max_categories), counts)))
        return type(self)(**self.settings(), learnt=learnt)

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns float64 arrays (D + C,): numbers, NaN for missing, those of dates last; positions of categories."""
        columns = self._by_column(rows)
        categories = [CodedColumn(None, column) for column in self._categories_in(columns)]
        return list(self._values(len(rows), self._raw_numbers(columns), categories))

    def _values(
        self, rows: int, numbers: Iterable[NDArray[np.float64]], categories: Sequence[CodedColumn]
    ) -> NDArray[np.float64]:
        values = np.empty((rows, len(self.number_names) + len(self.categories)))
        for index, one in enumerate(numbers):
            values[:, index] = self._standardized(one, index) if self.standardize else one
        known = zip(self.categories, categories, self._positions, self._truths, strict=True)
        for index, (name, column, positions, truths) in enumerate(known, len(self.number_names)):
            places = [positions.get(text, 0) for text in texts_of(column.values, name, truths)]
            values[:, index] = places if column.codes is None else np.array(places)[column.codes]
        return values

    def _raw_numbers(self, columns: Sequence[Sequence[Any]]) -> Iterator[NDArray[np.float64]]:
        """Yields the columns of numbers, and after them those that dates become."""
        for name, column in zip(self.numbers, columns, strict=False):
            yield self._numbers_of(column, name)
        for name, column in zip(self.dates, columns[len(self.numbers) + len(self.categories) :], strict=True):
            yield from date_numbers(column, name, self.date_order).T

    def _categories_in(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        return columns[len(self.numbers) : len(self.numbers) + len(self.categories)]

    def preprocess_columns(
        self,
        numbers: Sequence[NDArray[np.float64]],
        categories: Sequence[CodedColumn],
        dates: Sequence[Sequence[object]] = (),
    ) -> ArrayFeatures:
        """Returns the features that `preprocess` gives for the same rows one by one.

        Args:
            numbers: (N,) for each column of numbers, NaN for missing.
            categories: a column for each of categories.
            dates: N values for each column of dates.

        Raises:
            InputError: a number is too large, a category or a date is none; the message begins with `Row {index} ` or
                names the category's place among the different ones.
        """
        found = [in_range(column, name, self._largest) for column, name in zip(numbers, self.numbers, strict=True)]
        for column, name in zip(dates, self.dates, strict=True):
            found += date_numbers(column, name, self.date_order).T
        rows = len(found[0]) if found else categories[0].rows
        return ArrayFeatures(self.feature, self._values(rows, found, categories))

    @property
    def _largest(self) -> float:
        return LARGEST_FLOAT64 if self.standardize else LARGEST

    def _numbers_of(self, column: Sequence[Any], name: str) -> NDArray[np.float64]:
        return numbers_of(column, name, self._largest)

    def _standardized(self, numbers: NDArray[np.float64], index: int) -> NDArray[np.float64]:
        """Returns (x − m) / s of one column's numbers; refuses what float32 would not hold afterwards."""
        mean, deviation = self._learnt.means[index], self._learnt.deviations[index]
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            scaled: NDArray[np.float64] = (numbers - mean) / deviation
        beyond, name = np.flatnonzero(np.abs(scaled) > LARGEST), self.number_names[index]
        if beyond.size:
            raise InputError(
                f"Row {beyond[0]} has {numbers[beyond[0]]:g} in the column {name}, which lies further "
                f"from the mean {mean:g} of its training rows than float32 can count in deviations of {deviation:g}."
            )
        return scaled

    def _by_column(self, rows: Sequence[Any]) -> list[Sequence[Any]]:
        """Returns the values of all rows, column by column; None where a row lacks one."""
        aligned = [self._aligned(row, index) for index, row in enumerate(rows)]
        return list(zip(*aligned, strict=True)) if aligned else [()] * len(self.columns)

    def _aligned(self, row: object, index: int) -> Sequence[Any]:
        """Returns a row's values in the order of the columns."""
        if type(row) is dict or isinstance(row, Mapping):  # the first is what is fast
            if not row or not row.keys() <= self._known:
                raise other_columns(row, index, self.columns)
            return [row.get(name) for name in self.columns]
        if isinstance(row, np.ndarray) and row.ndim == 1:
            row = row.tolist()
        if not isinstance(row, list | tuple):
            if len(self.columns) == 1 and isinstance(row, str | int | float | np.generic):
                return [row]  # a tensor of the only column
            raise InputError(
                f"Row {index} is {_named(row)}; the model takes a dictionary by column, or a list of values."
            )
        if len(row) != len(self.columns):
            raise InputError(
                f"Row {index} has {len(row)} values; the model takes {len(self.columns)}: {', '.join(self.columns)}."
            )
        return row

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"numbers": float32 or float64 (N, D), "categories": int64 (N, C)}`, less what has no column."""
        values, split = self.joined(features), len(self.number_names)
        model_inputs: dict[str, NDArray[Any]] = {
            "numbers": values[:, :split].astype(np.float64 if self.double else np.float32),
            "categories": values[:, split:].astype(np.int64),
        }
        return {name: array for name, array in model_inputs.items() if array.shape[1]}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """FP64 (N,) for each column of numbers, BYTES (N,) for each of categories and of dates."""
        numbers = tuple(TensorSpec(name, "FP64", (-1,)) for name in self.numbers)
        return numbers + tuple(TensorSpec(name, "BYTES", (-1,)) for name in (*self.categories, *self.dates))

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object by column; null and absent are missing. Truth values have the texts that they are read as."""
        properties: dict[str, Any] = {
            name: {"type": ["number", "null"], "minimum": -LARGEST, "maximum": LARGEST} for name in self.numbers
        }
        for name, positions, truths in zip(self.categories, self._positions, self._truths, strict=True):
            properties[name] = {
                "type": ["string", "integer", "boolean", "null"],
                "minimum": -LARGEST_INTEGER,
                "maximum": LARGEST_INTEGER,
                **({"examples": list(positions)[:SHOWN_CATEGORIES]} if positions else {}),
            }
            if not positions.keys().isdisjoint(truths):
                properties[name]["description"] = f"false is read as {truths[0]!r}, true as {truths[1]!r}"
        for name in self.dates:
            properties[name] = {"type": ["string", "null"], "description": "a date such as 2026-03-05 14:30"}
        return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}

    @property
    def rows_rule(self) -> str:
        """By what a list holds."""
        return "One input is an object, or a list of its values; a list of objects or of lists is several."

    def is_many(self, value: object) -> bool:
        """A list of lists or dictionaries is many."""
        return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The batch."""
        columns = {"numbers": self.number_names, "categories": self.categories}
        return {name: {0: "batch"} for name, names in columns.items() if names}

    @property
    def deviations(self) -> dict[str, float]:
        """The standard deviation of each column of numbers, in the column's own unit."""
        return dict(zip(self.numbers, self._learnt.deviations, strict=False))

    @property
    def net_arguments(self) -> dict[str, Any]:
        """Means and deviations (D) of the numbers as a net is given them; sizes (C) of the categories, with unknown."""
        means, deviations = self._learnt.means, self._learnt.deviations
        if self.standardize:
            means, deviations = (0.0,) * len(means), (1.0,) * len(deviations)
        return {
            "number_means": list(means),
            "number_deviations": [one if np.float32(one) > 0 else 1.0 for one in deviations],  # a net divides by it
            "category_sizes": [1 + len(column) for column in self._learnt.categories],
        }

    @property
    def learnt_categories(self) -> dict[str, tuple[str, ...]]:
        """By column, the categories whose positions from 1 on it gives."""
        return dict(zip(self.categories, self._learnt.categories, strict=True))

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "numbers": list(self.numbers),
            "categories": list(self.categories),
            "max_categories": self.max_categories,
            "standardize": self.standardize,
            "double": self.double,
            "dates": list(self.dates),
            "date_order": self.date_order,
        }

    def save(self, folder: Path) -> None:
        """Writes `columns.json`."""
        self._learnt.write(folder / COLUMNS_FILE)

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and `columns.json`."""
        return cls(**settings, learnt=LearntColumns.read(folder / COLUMNS_FILE))


def _named(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
