"""Arrays of numbers with a fixed shape, as they come: no scaling here, that is held in the graph."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.processors.base import BaseProcessor, Features, nesting
from maas.runtime.signature import TensorSpec


class Processor(BaseProcessor):
    """Checks rows of numbers against a shape and a range.

    Args:
        shape: the shape of one row; `[64]` and `[8, 8]` are different shapes.
        low: the smallest value allowed, or null.
        high: the largest value allowed, or null.
    """

    kind: ClassVar[str] = "array"
    modality: ClassVar[str] = "tabular"
    input_name: ClassVar[str] = "input"

    def __init__(self, shape: Sequence[int], low: float | None = None, high: float | None = None) -> None:
        self.shape = tuple(shape)
        self.low = low
        self.high = high

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def encode(self, rows: Sequence[Any]) -> list[Features]:
        """Returns float32 arrays of `shape`, one a row."""
        return [self._checked(row, index) for index, row in enumerate(rows)]

    def _checked(self, row: Any, index: int) -> Features:
        if isinstance(row, list) and not _holds_only_numbers(row):
            raise InputError(
                f"Row {index} holds something else than numbers; the model takes {list(self.shape)} of them."
            )
        try:
            values = np.asarray(row)
        except ValueError as error:
            raise InputError(f"Row {index} is not an array of numbers of shape {list(self.shape)}: {error}.") from error
        if values.shape != self.shape:
            raise InputError(f"Row {index} has shape {list(values.shape)}; the model takes {list(self.shape)}.")
        if values.dtype.kind not in "biuf":  # numpy would read numbers out of texts, and null as NaN
            raise InputError(
                f"Row {index} holds something else than numbers; the model takes {list(self.shape)} of them."
            )
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            array = values.astype(np.float32)
        smallest, largest = float(array.min()), float(array.max())
        if not (np.isfinite(smallest) and np.isfinite(largest)):
            raise InputError(f"Row {index} holds a value that is not a finite number.")
        if (self.low is not None and smallest < self.low) or (self.high is not None and largest > self.high):
            raise InputError(
                f"Row {index} holds values from {smallest:g} to {largest:g}; they must lie in "
                f"[{'-inf' if self.low is None else self.low}, {'inf' if self.high is None else self.high}]."
            )
        return array

    def batch_key(self, features: Features) -> int:
        """Returns the number of values, equal for all rows."""
        return int(features.size)

    def collate(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"features": float32 (N, *shape)}`."""
        return {"features": np.asarray(features)}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """FP32, (N, *shape)."""
        return (TensorSpec("input", "FP32", (-1, *self.shape)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """Nested lists of numbers."""
        schema: dict[str, Any] = {"type": "number"}
        for size in reversed(self.shape):
            schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
        return schema

    @property
    def rows_rule(self) -> str:
        """By depth."""
        return f"One input is numbers of shape {list(self.shape)}; lists nested one deeper are several."

    def is_many(self, value: Any) -> bool:
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
        """Shape and range."""
        return {"shape": list(self.shape), "low": self.low, "high": self.high}

    def save(self, folder: Path) -> None:
        """Writes nothing: the settings are all there is."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings alone."""
        return cls(**settings)


def _holds_only_numbers(row: list[Any]) -> bool:
    """Tells whether nested lists end in numbers alone: numpy would give each of many short texts a long one's room."""
    values: list[Any] = row
    while (kinds := set(map(type, values))) == {list}:
        values = list(chain.from_iterable(values))
    plain = (int, float, np.number, np.bool_, np.ndarray, list)  # lists of unequal depth are refused by numpy
    return all(issubclass(kind, plain) for kind in kinds)
