"""The values of one column of a table, as they come from JSON, a data frame or a tensor: numbers, categories, missing.

Types are taken exactly: a text is never read as a number. It knows nothing of rows with names, nor of what was learnt.
"""

import math
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError

LARGEST = float(np.finfo(np.float32).max)  # graphs compute in float32
LARGEST_INTEGER = 2**64 - 1  # of a category
LARGEST_FLOAT64 = float(np.finfo(np.float64).max)
QUICK_NUMBERS = frozenset({int, float, type(None), np.float64, np.float32, np.int64, np.int32})
NOT_AVAILABLE = frozenset({"NAType", "NaTType"})  # pandas' own, by name: the runtime does without pandas
Truths = tuple[str, str]
TRUTHS: Truths = ("False", "True")
"""How false and true are spelt as categories where a column has no spelling of its own."""


def numbers_of(column: Sequence[Any], name: str, largest: float = LARGEST) -> NDArray[np.float64]:
    """Returns a column of numbers.

    Args:
        column: N values; None, NaN and an empty text are missing.
        name: of the column, for messages.
        largest: the largest size that is taken.

    Returns:
        (N,), NaN where a number is missing.

    Raises:
        InputError: a value is no number, or too large; the message begins with `Row {index} `.
    """
    if not QUICK_NUMBERS.issuperset(map(type, column)):
        column = [_number(value, index, name) for index, value in enumerate(column)]
    try:
        values = np.array(column, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64
        values = np.array([math.inf if _is_huge(value) else value for value in column], dtype=np.float64)
    beyond = np.flatnonzero(np.abs(values) > largest)
    if beyond.size:
        raise _beyond(int(beyond[0]), column[beyond[0]], name, largest)
    return values


def in_range(values: NDArray[np.float64], name: str, largest: float = LARGEST) -> NDArray[np.float64]:
    """Returns numbers as they are, once none is too large; arguments and errors are those of `numbers_of`."""
    beyond = np.flatnonzero(np.abs(values) > largest)
    if beyond.size:
        raise _beyond(int(beyond[0]), float(values[beyond[0]]), name, largest)
    return values


def _beyond(row: int, value: object, name: str, largest: float) -> InputError:
    return InputError(
        f"Row {row} has {_shown(value)} in the column {name}; a number must be finite, and at most {largest:.3g} in "
        "size."
    )


class CodedColumn(NamedTuple):
    """A column by its different values.

    Args:
        codes: places in `values`, (N,); None where these are the values of the rows one by one.
        values: values, None for a missing one.
    """

    codes: NDArray[np.integer[Any]] | None
    values: Sequence[object]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.values if self.codes is None else self.codes)


def texts_of(column: Sequence[Any], name: str, truths: Truths = TRUTHS) -> Sequence[str]:
    """Returns a column of categories as texts: 1, 1.0 and "1" are one, as are a truth value and its spelling.

    Args:
        column: N values; None, NaN and an empty text are missing.
        name: of the column, for messages.
        truths: how the column spells false and true.

    Returns:
        N texts, empty where a category is missing.

    Raises:
        InputError: a value is neither text, nor a whole number, nor a truth value; the message begins with
            `Row {index} `.
    """
    if set(map(type, column)) <= {str}:
        return column
    return [value if type(value) is str else _text(value, index, name, truths) for index, value in enumerate(column)]


def truths_of(categories: Iterable[str]) -> Truths:
    """Returns how categories spell false and true.

    A column of truth values has them as `False` and `True`, one of texts as its file does, e.g. `FALSE` and `TRUE`.
    Where several spellings are categories, `False` and `True` come first, then what comes first.

    Args:
        categories: of one column, the most frequent first.

    Example:
        >>> truths_of(["TRUE", "FALSE", "unknown"])
        ('FALSE', 'TRUE')
    """
    known = tuple(categories)

    def spelling(plain: str) -> str:
        return next((one for one in (plain, *known) if one in known and one.lower() == plain.lower()), plain)

    return spelling("False"), spelling("True")


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > 1000


def _is_missing(value: object) -> bool:
    if isinstance(value, float | np.floating):
        return bool(value != value)  # noqa: PLR0124 - NaN alone differs from itself
    return value is None or (isinstance(value, str) and not value) or type(value).__name__ in NOT_AVAILABLE


def _number(value: object, index: int, name: str) -> float | int | None:
    if _is_missing(value):
        return None
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return value if isinstance(value, int) else float(value)
    raise InputError(
        f"Row {index} has {_shown(value)} in the column {name}, which takes numbers. Send a number, without quotation "
        "marks, or null for a missing one."
    )


def _text(value: object, index: int, name: str, truths: Truths) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return truths[bool(value)]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and int(value).bit_length() <= 64:
        return str(int(value))
    if isinstance(value, float | np.floating) and value.is_integer():
        return str(int(value))
    raise InputError(
        f"Row {index} has {_shown(value)} in the column {name}, which takes categories. Send a text, a whole number of "
        "at most 64 bits, a truth value, or null for a missing one."
    )


def _shown(value: object) -> str:
    """Returns a value as messages show it: short, and with its type where that is what is wrong."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= 64 else f"a whole number of {value.bit_length()} bits"
    if isinstance(value, float | np.floating):
        return f"{value:g}"
    return f"{reprlib.repr(value)} ({type(value).__name__})"
