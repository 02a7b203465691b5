"""Cells of tables: what stands for nothing, what is a number, what is a text. Nothing here knows of files.

A cell that is a text is a number where a user of its column says so, or where every cell of the column is one; a
column has one type from its first row to its last.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, TypeAlias

from maas.errors import DataError

MISSING = ("", "NA", "NaN", "nan", "null")
"""Texts that stand for nothing in tables of columns, whatever the format."""
ONLY_EMPTY = ("",)
"""The same in tables of raw inputs, where every word is one."""

NUMBER_PATTERN = r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*"
"""Decimal or scientific; neither 1_000, 0x1F and inf, nor digits of other scripts, which Python takes as well."""
UNCODED_PATTERN = r"[ \t]*[+-]?(?:(?:0|[1-9][0-9]{0,17})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*"
"""Such a number without zeros before it and not of more than 18 digits, either of which would make it a code: 007."""
INTEGER_PATTERN = r"[ \t]*[+-]?[0-9]{1,18}[ \t]*"
"""A whole number of 64 bits."""
WHOLE_PATTERN = r"0|-?[1-9][0-9]{0,17}"
"""Such a number as Python writes it, so that its text and the number are interchangeable."""

CellDecoder: TypeAlias = Callable[[Any], Any]
ColumnDecoder: TypeAlias = Callable[[Sequence[Any]], list[Any]]
"""Makes values of what cells of one column hold, many at a time."""
ColumnUse: TypeAlias = Literal["text", "number", "category", "any"]
DecimalMark: TypeAlias = Literal[".", ","]
"""What comes before the fraction of a number: 1.5 or 1,5."""
PLAIN_TYPES = frozenset({type(None), bool, int, float, str})

NUMBER_ADVICE = (
    "data.source.numbers, which is processor.numbers where the recipe says nothing else, has it among the numbers. "
    "Correct it, add it to data.source.missing, or name {0} in processor.categories or data.source.texts."
)
"""Advice for a cell that is no number in a column that should hold numbers."""

COLUMN_ADVICE = "a row's columns are numbers, texts and truth values. Leave it out of data.source.columns."
LABEL_ADVICE = "a label is a text, a number or a truth value. Name another column."
INPUT_ADVICE = "an input is a text, a number, bytes or a list of numbers. Name another column in data.source.input."

_number = re.compile(NUMBER_PATTERN).fullmatch


@dataclass(frozen=True)
class ColumnReading:
    """How the columns of a table are read.

    Args:
        texts: columns whose cells are texts as the file has them.
        numbers: columns whose cells are numbers or missing, or the table is refused.
        categories: columns whose cells keep their own text; those of whole numbers alone are numbers, as nothing is
            lost.
        missing: texts that stand for nothing.
        decimal: what comes before the fraction of a number that is a text.
    """

    texts: Sequence[str] = ()
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    missing: Sequence[str] = MISSING
    decimal: DecimalMark = "."

    def use_of(self, name: str) -> ColumnUse:
        """Returns what a column is for."""
        return self._uses.get(name, "any")

    @cached_property
    def _uses(self) -> Mapping[str, ColumnUse]:
        """By column; one that is named several times is a text before a number, and a number before a category."""
        named: dict[str, ColumnUse] = dict.fromkeys(self.categories, "category")
        return {**named, **dict.fromkeys(self.numbers, "number"), **dict.fromkeys(self.texts, "text")}


def is_number(text: str) -> bool:
    """Returns whether a text is a number.

    Example:
        >>> [is_number(text) for text in ("-1.5e3", "007", "1_001", "0x1F", "nan", "٣")]
        [True, True, False, False, False, False]
    """
    return _number(text) is not None


def with_decimal(pattern: str, decimal: DecimalMark) -> str:
    """Returns the pattern of a number whose fraction comes after another mark."""
    return pattern.replace(r"\.", decimal) if decimal == "," else pattern


def float_of(decimal: DecimalMark) -> Callable[[str], float]:
    """Returns what makes a number of a text whose fraction comes after a mark."""
    return float if decimal == "." else lambda text: float(text.replace(",", "."))


def as_label(value: object) -> str | None:
    """Returns a label as text; 1.0 is 1, as a column of whole numbers with a gap is read as numbers with a point."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_cells(missing: Sequence[str]) -> ColumnDecoder:
    """Returns what keeps texts, and makes None of those that stand for nothing."""
    nothing = frozenset(missing)
    return lambda texts: [None if text in nothing else text for text in texts]


def number_cells(make: Callable[[str], float], missing: Sequence[str]) -> ColumnDecoder:
    """Returns what makes numbers of texts that are numbers, and None of those that stand for nothing."""
    nothing = frozenset((*missing, None))
    return lambda texts: [None if text in nothing else make(text) for text in texts]


def value_cell(name: str, use: ColumnUse, missing: Sequence[str], advice: str = COLUMN_ADVICE) -> CellDecoder:
    """Returns what takes values of any type.

    Args:
        name: name of the column, for messages.
        use: use of the column.
        missing: texts that stand for nothing.
        advice: remedy for values of other types, for messages.

    Raises:
        DataError: by the cell: a value is of a type that no row can hold, e.g. a list, or no number where numbers are
            required.
    """
    nothing = frozenset(missing)

    def cell(value: object) -> object:
        found = value if type(value) in PLAIN_TYPES else _scalar(name, value, advice)
        if found is None or found != found or (type(found) is str and found in nothing):  # noqa: PLR0124
            return None
        if use == "text":
            return as_label(found)
        if use == "number" and type(found) is str:
            if not is_number(found):
                raise DataError(f"The column {name} holds {found!r}, and {NUMBER_ADVICE.format(name)}")
            return float(found)
        return found

    return cell


def label_cell(name: str, missing: Sequence[str]) -> CellDecoder:
    """Returns what makes a label of a value of any type, as text.

    Raises:
        DataError: by the cell: a value is no label, e.g. a list.
    """
    nothing = frozenset(missing)

    def cell(value: object) -> str | None:
        is_label = type(value) in PLAIN_TYPES or isinstance(value, Decimal)
        found = value if is_label else _scalar(name, value, LABEL_ADVICE)
        return None if type(found) is str and found in nothing else as_label(found)

    return cell


def _scalar(name: str, value: object, advice: str = COLUMN_ADVICE) -> float | str:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):  # and a date with a time, which is one
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"The column {name} holds bytes that are no UTF-8, e.g. {value[:20]!r}. Write it as texts, or leave it "
                "out of the columns that are read."
            ) from error
    raise column_refusal(name, type(value).__name__, advice)


def list_fault(value: object) -> str:
    """Returns why a list is no input, as the end of "holds"; empty where it is one, or no list."""
    if not isinstance(value, list):
        return ""
    if not value:
        return "an empty list"
    if any(one is None for one in value):
        return "a list with an element that is null"
    return next(filter(None, map(list_fault, value)), "")


def column_refusal(name: str, what: str, advice: str = COLUMN_ADVICE) -> DataError:
    """Returns the error for a column of values that neither a row nor a label can hold."""
    return DataError(f"The column {name} holds a {what}; {advice}")
