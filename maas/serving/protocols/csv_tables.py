"""Rows from a table as CSV, its first line the names of its columns. Numbers are read where the model takes numbers."""

import csv
import io
import math
from collections.abc import Sequence

from maas.errors import InputError, shortened_value
from maas.records.signature import TensorSpec
from maas.serving.call import Row
from maas.serving.faults import UnreadableError
from maas.serving.protocols.rows import rows_of_table

MISSING_NUMBERS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
"""Texts that stand for a missing number, as pandas writes and reads them."""


def rows_of_csv(body: bytes | bytearray, specs: Sequence[TensorSpec]) -> list[Row]:
    """Returns the rows of a table.

    Args:
        body: CSV as `pandas.DataFrame.to_csv(index=False)` writes it.
        specs: tensors that the model takes.

    Raises:
        UnreadableError: it is not UTF-8, or not CSV.
        InputError: a line has more or fewer values than the first, or a number cannot be read.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except UnicodeDecodeError as error:
        raise UnreadableError(f"The body is not UTF-8: {error.reason}. Send CSV encoded as UTF-8.") from None
    except csv.Error as error:
        raise UnreadableError(f"The body is not CSV: {error}. Send CSV with the names of the columns first.") from None
    lines = [line for line in lines if line]
    if not lines:
        raise UnreadableError("The body is empty; send CSV with the names of the columns first.")
    names, *data = lines
    is_number = _are_numbers(names, specs)
    cells = [_cells(line, names, is_number, index) for index, line in enumerate(data)]
    return rows_of_table(names, cells, specs)


def _are_numbers(names: Sequence[str], specs: Sequence[TensorSpec]) -> list[bool]:
    """Returns for each column whether it holds numbers: as the model says, or as its only input does."""
    if len(specs) == 1:
        return [specs[0].datatype != "BYTES" and len(names) > 1] * len(names)
    numbers = {spec.name for spec in specs if spec.datatype != "BYTES" and len(spec.shape) == 1}
    return [name in numbers for name in names]


def _cells(line: Sequence[str], names: Sequence[str], is_number: Sequence[bool], index: int) -> list[object]:
    if len(line) != len(names):
        raise InputError(f"Row {index} has {len(line)} values; the table has {len(names)} columns.")
    return [
        _number(text, name, index) if numeric else text or None
        for text, name, numeric in zip(line, names, is_number, strict=True)
    ]


def _number(text: str, name: str, index: int) -> float | None:
    if text in MISSING_NUMBERS:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        column = shortened_value(name, "")
        raise InputError(f"Row {index} has {shortened_value(text)} in the column {column}; it takes numbers.")
    return number
