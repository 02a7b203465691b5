"""Cells as a model's columns demand them: the type is the model's, and no cell depends on those of other rows.

Training decides a column's type by all of its cells; a model that is trained has a type for each. A cell that is none
of it is a fault of its row alone.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from maas.data.cells import MISSING, ONLY_EMPTY, CellDecoder, ColumnUse, DecimalMark, is_number, value_cell
from maas.errors import DataError

Faults = dict[int, str]
Cells: TypeAlias = pa.ChunkedArray | Sequence[object]
"""A column as a file has it: of Arrow's types, or values of JSON."""
NUMBER_REMEDY = "Correct it, or leave it empty for a missing number."
POINT_REMEDY = "Write a comma before its fraction, and nothing between its thousands."


def number_column(column: Cells, name: str, decimal: DecimalMark = ".") -> tuple[NDArray[np.float64], Faults]:
    """Returns a column of numbers, NaN where one is missing or a fault, and the faults by row.

    Args:
        column: (N,) of any type.
        name: name of the column, for messages.
        decimal: what comes before the fraction of a number that is a text.
    """
    if isinstance(column, pa.ChunkedArray) and (known := _by_arrow(column, decimal)) is not None:
        return known, {}
    values, faults = plain_column(column, name, "number", decimal)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64), faults


def _by_arrow(column: pa.ChunkedArray, decimal: DecimalMark) -> NDArray[np.float64] | None:
    """Returns numbers and texts that are numbers; None where another cell is there, or one that Python reads apart."""
    type_ = column.type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        if decimal == ",":
            if pc.any(pc.match_substring(column, ".")).as_py():
                return None
            column = pc.replace_substring(column, ",", ".")
        nothing = pc.is_in(column, pa.array(MISSING, type_))
        column = pc.utf8_trim(pc.if_else(nothing, None, column), " \t")
    elif not (pa.types.is_floating(type_) or pa.types.is_integer(type_)):
        return None
    try:
        numbers = column.cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return None
    is_text = column.type != type_ or not pa.types.is_floating(type_)
    if is_text and pc.all(pc.is_finite(numbers)).as_py() is False:
        return None
    return np.asarray(numbers.to_numpy(), dtype=np.float64)


def plain_column(column: Cells, name: str, use: ColumnUse, decimal: DecimalMark = ".") -> tuple[list[object], Faults]:
    """Returns a column's values as a row by column holds them, None where one is missing or a fault; and the faults.

    Args:
        column: (N,) of any type.
        name: name of the column, for messages.
        use: what the model's column is for.
        decimal: what comes before the fraction of a number that is a text.
    """
    cell = value_cell(name, use, MISSING)
    cell = _with_commas(cell) if decimal == "," else cell
    values = cell_values(column)
    try:
        return list(map(cell, values)), {}
    except (DataError, OverflowError):
        return _each(cell, values, name, use)


def _with_commas(cell: CellDecoder) -> CellDecoder:
    """Returns what reads commas before fractions; a point is a fault, as 1.250 may be a thousand or a fraction."""

    def read(value: object) -> object:
        if type(value) is str and is_number(value) and "." in value:
            raise DataError(f"{value!r} has a point.")
        return cell(value.replace(",", ".") if type(value) is str else value)

    return read


def _each(cell: CellDecoder, values: Sequence[object], name: str, use: ColumnUse) -> tuple[list[object], Faults]:
    found: list[object] = []
    faults: Faults = {}
    for place, value in enumerate(values):
        try:
            found.append(cell(value))
        except (DataError, OverflowError):
            found.append(None)
            faults[place] = _reason(value, name, use)
    return found, faults


def _reason(value: object, name: str, use: ColumnUse) -> str:
    shown = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
    shown = shown if len(shown) <= 100 else f"{shown[:60]} … {shown[-20:]}"
    if use == "number" and isinstance(value, str) and is_number(value):
        return f"The column {name} holds {shown}, and commas come before fractions in this file. {POINT_REMEDY}"
    if use == "number":
        return f"The column {name} holds {shown}, and the model takes a number there. {NUMBER_REMEDY}"
    return f"The column {name} holds {shown}; the model takes a text, a number or a truth value there."


def input_column(column: Cells) -> list[object]:
    """Returns a column's values as raw inputs: an empty text is missing, all else is as it is."""
    return [None if value in ONLY_EMPTY else value for value in cell_values(column)]


def cell_values(column: Cells) -> list[object]:
    """Returns a column's values."""
    found: list[object] = column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)
    return found
