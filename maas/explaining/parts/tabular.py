"""Rows of a table: their columns."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from maas.errors import InputError
from maas.explaining.columns import MOST_COLUMNS, Columns
from maas.explaining.parts.base import RowPart, grouped
from maas.explaining.sampling import Mask
from maas.runtime.processors import Processor


class TabularParts(Columns):
    """Columns in their order; what is left out is missing, as in any row where it was not known."""

    takes: ClassVar[str] = "a row"

    def __init__(self, row: Any, processor: Processor, most: int | None = None, baseline: object = None) -> None:
        super().__init__(row, processor, most, baseline)
        processor.preprocess([row])
        names = [spec.name for spec in processor.input_specs]
        self._values = _by_name(row, names)
        self._baseline = dict.fromkeys(names) if baseline is None else _baseline(baseline, names, processor)
        self._groups = grouped(names, most or MOST_COLUMNS)
        starts = [sum(map(len, self._groups[:index])) for index in range(len(self._groups))]
        self.parts = tuple(
            RowPart(", ".join(group), (start, start + len(group)))
            for group, start in zip(self._groups, starts, strict=True)
        )
        self.labels = tuple(
            ", ".join(f"{name} = {_shown(self._values[name])}" for name in group) for group in self._groups
        )

    def row(self, kept: Mask) -> dict[str, Any]:
        """Returns the row by column, the baseline in some of them."""
        return {
            name: (self._values if is_kept else self._baseline)[name]
            for group, is_kept in zip(self._groups, kept, strict=True)
            for name in group
        }


def _baseline(row: Any, names: Sequence[str], processor: Processor) -> dict[str, Any]:
    try:
        processor.preprocess([row])
    except InputError as error:
        raise InputError(f"baseline must be {TabularParts.takes} that the model would take: {error}") from error
    return _by_name(row, names)


def _by_name(row: Any, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {name: row.get(name) for name in names}
    return dict(zip(names, row if len(names) > 1 or np.ndim(row) else [row], strict=True))


def _shown(value: object) -> str:
    if value is None or value == "":
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
