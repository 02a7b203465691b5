"""Dates and times as people write them, and the numbers that a model learns of them. Time zones are read, and not kept.

A clock time without a zone counts as it stands: what a model should learn of it is the hour that people saw.
"""

import math
import re
import reprlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError

DateOrder: TypeAlias = Literal["ymd", "dmy", "mdy"]
"""In which order a date has year, month and day; one that begins with four digits always has the year first."""

DATE_PATTERN = (
    r"[ \t]*[0-9]{1,4}[ ]?[-/.年][ ]?[0-9]{1,2}[ ]?[-/.月][ ]?[0-9]{1,4}[ ]?日?"
    r"(?:[T \t]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)?[ ]?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})?[ \t]*"
)
"""What may be a date, with a time or without."""
DATE_PARTS = ("year", "month", "day", "weekday", "hour", "elapsed")
"""The numbers of a date: `weekday` from 0 for Monday, `hour` with its fraction, `elapsed` days since 1970."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86400
_PIVOT = 69
"""Of two digits, the first year that lies in the last century, as POSIX has it."""
_FIELDS = re.compile(
    r"(\d{1,4}) ?[-/.年] ?(\d{1,2}) ?[-/.月] ?(\d{1,4}) ?日?"
    r"(?:[T \t]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)? ?(Z|UTC|[+-]\d{2}:?\d{2})?",
    re.ASCII,
).fullmatch

_Numbers: TypeAlias = tuple[float, ...]
_NOTHING: _Numbers = (math.nan,) * len(DATE_PARTS)


def date_numbers(column: Sequence[object], name: str, order: DateOrder = "ymd") -> NDArray[np.float64]:
    """Returns the numbers of a column of dates.

    Args:
        column: N texts, dates or moments; None, NaN and an empty text are missing.
        name: of the column, for messages.
        order: of year, month and day where a date does not begin with four digits.

    Returns:
        (N, 6), as `DATE_PARTS` names them; NaN where a date is missing.

    Raises:
        InputError: a value is no date; the message begins with `Row {index} `.

    Example:
        >>> date_numbers(["2026-03-05 14:30", None], "sold")[0].tolist()
        [2026.0, 3.0, 5.0, 3.0, 14.5, 20517.604166666668]
    """
    known: dict[object, _Numbers] = {}
    values = np.empty((len(column), len(DATE_PARTS)))
    for index, value in enumerate(column):
        if isinstance(value, str) and value in known:
            values[index] = known[value]
            continue
        moment = None if is_nothing(value) else moment_of(value, order)
        if moment is None and not is_nothing(value):
            _refuse(value, index, name)
        values[index] = found = _NOTHING if moment is None else _numbers(moment)
        if isinstance(value, str):
            known[value] = found
    return values


def moment_of(value: object, order: DateOrder = "ymd") -> datetime | None:
    """Returns a date as a moment; None where it is none.

    Args:
        value: a text, a date or a moment.
        order: of year, month and day where a text does not begin with four digits.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
    found = _FIELDS(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    first, second, third, hour, minute, second_of_minute, fraction, zone = found.groups()
    parts = dict(zip("ymd" if len(first) == 4 else order, map(int, (first, second, third)), strict=True))
    hours, minutes, seconds = (int(one or 0) for one in (hour, minute, second_of_minute))
    year = parts["y"] + (0 if parts["y"] > 99 else 2000 if parts["y"] < _PIVOT else 1900)
    microseconds = int(f"{fraction or '':0<6}"[:6])  # of more digits these: 9999-12-31 ends with .9999999 in .NET
    try:
        return datetime(year, parts["m"], parts["d"], hours, minutes, seconds, microseconds, _zone(zone))
    except ValueError:
        return None


def is_nothing(value: object) -> bool:
    """Returns whether a value stands for a missing date."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value != value or type(value).__name__ == "NaTType"  # noqa: PLR0124 - NaN


def _zone(text: str | None) -> timezone | None:
    if text is None or text in ("Z", "UTC"):
        return UTC if text else None
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def _numbers(moment: datetime) -> _Numbers:
    elapsed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    hour = moment.hour + moment.minute / 60 + moment.second / 3600
    days = elapsed.total_seconds() / _SECONDS_A_DAY
    return float(moment.year), float(moment.month), float(moment.day), float(moment.weekday()), hour, days


def _refuse(value: object, index: int, name: str) -> NoReturn:
    raise InputError(
        f"Row {index} has {reprlib.repr(value)} in the column {name}, which takes dates. Send a date such as "
        "2026-03-05 or 2026-03-05T14:30:00, or null for a missing one."
    )
