"""Arrays of numbers: their values, or runs of neighbouring values where they are many."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.explaining.columns import MOST_COLUMNS, Columns
from maas.explaining.parts.base import RowPart, grouped
from maas.explaining.sampling import Mask
from maas.runtime.processors.array import ArrayProcessor


class ArrayParts(Columns):
    """Values in the order of the flattened array; what is left out becomes the baseline: zeros, within the range."""

    takes: ClassVar[str] = "a number, or an array of the row's shape"

    def __init__(self, row: object, processor: ArrayProcessor, most: int | None = None, baseline: Any = None) -> None:
        super().__init__(row, processor, most, baseline)
        (self._values,) = processor.values([row])
        self._baseline = _baseline(processor, baseline)
        groups = grouped(range(self._values.size), most or MOST_COLUMNS)
        self._group = np.repeat(range(len(groups)), [len(group) for group in groups]).reshape(self._values.shape)
        self.parts = tuple(
            RowPart(_name(group[0], group[-1], processor.shape), (group[0], group[-1] + 1)) for group in groups
        )
        values = self._values.ravel()
        self.labels = tuple(
            f"{part.name} = {values[group[0]]:.6g}" if len(group) == 1 else part.name
            for part, group in zip(self.parts, groups, strict=True)
        )

    def row(self, kept: Mask) -> NDArray[Any]:
        """Returns the array with the baseline in some places."""
        row: NDArray[Any] = np.where(kept[self._group], self._values, self._baseline)
        return row


def _baseline(processor: ArrayProcessor, baseline: Any) -> NDArray[Any]:
    low, high = (
        (-np.inf if processor.low is None else processor.low),
        (np.inf if processor.high is None else processor.high),
    )
    if baseline is None:
        return np.full(processor.shape, np.clip(0.0, low, high), dtype=np.float32)
    try:
        (values,) = processor.values([np.full(processor.shape, baseline) if np.ndim(baseline) == 0 else baseline])
    except InputError as error:
        raise InputError(f"baseline must be {ArrayParts.takes}, which the model would take: {error}") from error
    return values


def _name(first: int, last: int, shape: tuple[int, ...]) -> str:
    names = [",".join(map(str, np.unravel_index(index, shape))) for index in (first, last)]
    return names[0] if first == last else "–".join(names)
