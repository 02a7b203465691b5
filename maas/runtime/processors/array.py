"""Arrays of numbers with a fixed shape, as they come, or standardised in float64 before a graph's float32 sees them."""

import json
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import ArrayFeatures, Features
from maas.runtime.columns import LARGEST
from maas.runtime.moments import extremes
from maas.runtime.processors.base import Array, SingleArrayProcessor, counted_from, in_pieces, nesting

VALUES_FILE = "values.json"
LARGEST_EXACT = 2.0**53
"""The largest size up to which float64 holds every whole number."""
LARGEST_SQUARED = 1e150
"""The largest size of a number that is standardised: float64 holds the sum of such squares."""


class LearntValues(NamedTuple):
    """What a processor knows of its training rows, each of a row's shape.

    Args:
        means: of each value.
        deviations: standard deviations likewise; 1 where a value is the same in all rows.
    """

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]


class ArrayProcessor(SingleArrayProcessor):
    """Checks rows of numbers against a shape and a range.

    Args:
        shape: the shape of one row; `[64]` and `[8, 8]` are different shapes.
        low: the smallest value allowed, or null.
        high: the largest value allowed, or null.
        standardize: give each value x as (x − m) / s, with the mean and the deviation of its place over the training
            rows, computed in float64; false gives values as they come.
        learnt: from training rows; `fit` learns it where values are standardised.
    """

    kind: ClassVar[str] = "array"
    modality: ClassVar[str] = "tabular"
    input_name: ClassVar[str] = "input"
    feature: ClassVar[str] = "values"

    def __init__(
        self,
        shape: Sequence[int],
        low: float | None = None,
        high: float | None = None,
        standardize: bool | None = False,
        *,
        learnt: LearntValues | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.low = low
        self.high = high
        self.standardize = bool(standardize)
        self._learnt = learnt or LearntValues(np.zeros(self.shape), np.ones(self.shape))

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns a processor that knows means and deviations of `rows`; itself where it does not standardise."""
        if not self.standardize:
            return self
        count, mean, squares = 0, np.zeros(self.shape), np.zeros(self.shape)
        for piece in in_pieces(rows):
            with counted_from(count):
                values = np.stack(self.values(piece))
            own, total = values.mean(axis=0), count + len(piece)
            apart = own - mean
            squares += np.square(values - own).sum(axis=0) + apart**2 * count * len(piece) / total
            mean, count = mean + apart * len(piece) / total, total
        deviations = np.sqrt(squares / max(count, 1))
        return type(self)(**self.settings(), learnt=LearntValues(mean, np.where(deviations > 0, deviations, 1.0)))

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the float32 array of each row under its name; those that came as one array are one array again."""
        together = self._together(rows)
        return super().preprocess(rows) if together is None else ArrayFeatures(self.feature, together)

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns float32 arrays of `shape`, one a row."""
        values = self.values(rows)
        if not self.standardize:
            return values
        mean, deviation = self._learnt
        scaled = [(row - mean) / deviation for row in values]
        for index, row in enumerate(scaled):
            if np.abs(row).max() > LARGEST:
                raise InputError(
                    f"Row {index} holds a value that lies further from the mean of its training rows than float32 can "
                    "count in their deviations."
                )
        return [row.astype(np.float32) for row in scaled]

    def values(self, rows: Sequence[Any] | NDArray[Any]) -> list[NDArray[Any]]:
        """Returns checked arrays of `shape` in their own unit, float64 where they are standardised, else float32."""
        if isinstance(rows, np.ndarray) and (array := self._checked_together(rows)) is not None:
            return list(array)
        return [self._checked(row, index) for index, row in enumerate(rows)]

    def _together(self, rows: object) -> Array | None:
        """Returns the features of rows that came as one array, (N, *shape); None where one of them is to be refused."""
        values = self._checked_together(rows) if isinstance(rows, np.ndarray) else None
        if values is None or not self.standardize:
            return values
        scaled = (values - self._learnt.means) / self._learnt.deviations
        return scaled.astype(np.float32) if np.abs(scaled).max() <= LARGEST else None

    def _checked_together(self, rows: NDArray[Any]) -> Array | None:
        """Returns rows that came as one array; None where one of them is to be refused."""
        if rows.shape[1:] != self.shape or rows.dtype.kind not in "biuf" or not rows.size:
            return None
        target = np.float64 if self.standardize else np.float32
        smallest, largest = extremes(rows)
        if not (-LARGEST <= smallest <= largest <= LARGEST):  # the slower way knows more of what is wrong
            return None
        is_allowed = self._is_allowed(float(target(smallest)), float(target(largest)))  # rounding keeps the order
        return rows.astype(target) if is_allowed else None

    def _is_allowed(self, smallest: float, largest: float) -> bool:
        """Whether all numbers between two are finite and within the range; none is where one is NaN."""
        return (
            -LARGEST_SQUARED < smallest <= largest < LARGEST_SQUARED
            and (self.low is None or smallest >= self.low)
            and (self.high is None or largest <= self.high)
        )

    def _checked_list(self, row: object) -> Array | None:
        """Returns a flat list of numbers as an array, faster than numpy does; None where it is something else."""
        if type(row) is not list or self.shape != (len(row),) or bool in map(type, row):
            return None
        kind = "d" if self.standardize else "f"
        try:
            found: Array = np.frombuffer(array(kind, row), kind)  # refuses texts and null
        except (TypeError, OverflowError):
            return None
        smallest, largest = extremes(found)
        is_exact = smallest >= -LARGEST_EXACT and largest <= LARGEST_EXACT
        return found if is_exact and self._is_allowed(smallest, largest) else None

    def _checked(self, row: object, index: int) -> Array:
        if (found := self._checked_list(row)) is not None:
            return found
        if isinstance(row, list) and not _holds_only_numbers(row):
            raise InputError(
                f"Row {index} holds something else than numbers; the model takes {list(self.shape)} of them."
            )
        try:
            values = np.asarray(row)
        except ValueError as error:
            raise InputError(f"Row {index} is not an array of numbers of shape {list(self.shape)}: {error}.") from error
        if not values.shape:
            raise InputError(
                f"Row {index} is a single value; the model takes {list(self.shape)} of them. Write [row] for one row."
            )
        if values.shape != self.shape:
            raise InputError(f"Row {index} has shape {list(values.shape)}; the model takes {list(self.shape)}.")
        if values.dtype.kind not in "biuf":  # numpy would read numbers out of texts, and null as NaN
            raise InputError(
                f"Row {index} holds something else than numbers; the model takes {list(self.shape)} of them."
            )
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            checked: Array = values.astype(np.float64 if self.standardize else np.float32)
        smallest, largest = float(checked.min()), float(checked.max())
        if self._is_allowed(smallest, largest):
            return checked
        if not (-LARGEST_SQUARED < smallest <= largest < LARGEST_SQUARED):
            beyond = f", or beyond {LARGEST_SQUARED:g} in size" if self.standardize else ""
            raise InputError(f"Row {index} holds a value that is not a finite number{beyond}.")
        raise InputError(
            f"Row {index} holds values from {smallest:g} to {largest:g}; they must lie in "
            f"[{'-inf' if self.low is None else self.low}, {'inf' if self.high is None else self.high}]."
        )

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"features": float32 (N, *shape)}`."""
        return {"features": self.joined(features)}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """FP32, (N, *shape); FP64 where values are standardised."""
        return (TensorSpec("input", "FP64" if self.standardize else "FP32", (-1, *self.shape)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """Nested lists of numbers within their range."""
        most = LARGEST_SQUARED if self.standardize else LARGEST
        low, high = -most if self.low is None else self.low, most if self.high is None else self.high
        schema: dict[str, Any] = {"type": "number", "minimum": low, "maximum": high}
        for size in reversed(self.shape):
            schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
        return schema

    @property
    def rows_rule(self) -> str:
        """By depth."""
        return f"One input is numbers of shape {list(self.shape)}; lists nested one deeper are several."

    def is_many(self, value: object) -> bool:
        """Lists nested deeper than a row are many."""
        return nesting(value) > len(self.shape)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The batch."""
        return {"features": {0: "batch"}}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The number of values in a row, as `in_features`."""
        return {"in_features": int(np.prod(self.shape))}

    def settings(self) -> dict[str, Any]:
        """Shape, range, and whether values are standardised."""
        return {"shape": list(self.shape), "low": self.low, "high": self.high, "standardize": self.standardize}

    def save(self, folder: Path) -> None:
        """Writes `values.json` where values are standardised; otherwise the settings are all there is."""
        if self.standardize:
            folder.mkdir(parents=True, exist_ok=True)
            learnt = {name: array.tolist() for name, array in self._learnt._asdict().items()}
            (folder / VALUES_FILE).write_text(json.dumps(learnt, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings, and `values.json` where values are standardised."""
        if not settings.get("standardize"):
            return cls(**settings)
        saved = json.loads((folder / VALUES_FILE).read_text(encoding="utf-8"))
        return cls(**settings, learnt=LearntValues(np.array(saved["means"]), np.array(saved["deviations"])))


def _holds_only_numbers(row: list[Any]) -> bool:
    """Whether nested lists end in numbers alone: numpy would give each of many short texts a long one's room.

    A truth value is no number, as JSON Schema has it.
    """
    values: list[Any] = row
    while (kinds := set(map(type, values))) == {list}:
        values = list(chain.from_iterable(values))
    plain = (int, float, np.number, np.bool_, np.ndarray, list)  # lists of unequal depth are refused by numpy
    return bool not in kinds and all(issubclass(kind, plain) for kind in kinds)
