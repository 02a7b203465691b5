"""Columns by their names: what is learnt of those of training rows, and rows that name others."""

import json
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from maas.errors import ConfigError, InputError
from maas.suggesting import nearest_name


class LearntColumns(NamedTuple):
    """What a processor knows of its training rows.

    Args:
        means: of each column of numbers, over the values that are there; 0 where none is.
        deviations: standard deviations likewise; 1 where a column has one value only. Both in the columns' own units.
        categories: of each column of categories, the most frequent first.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    categories: tuple[tuple[str, ...], ...]

    def write(self, file: Path) -> None:
        """Writes it as JSON, into a folder that is made."""
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._asdict(), ensure_ascii=False, allow_nan=False, indent=1)
        file.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads what `write` wrote."""
        saved = json.loads(file.read_text(encoding="utf-8"))
        categories = tuple(tuple(column) for column in saved["categories"])
        return cls(tuple(saved["means"]), tuple(saved["deviations"]), categories)


def require_named_once(names: Sequence[str]) -> None:
    """Requires columns of different names.

    Raises:
        ConfigError: there is none, or one is named twice.
    """
    if not names:
        raise ConfigError("processor.numbers and processor.categories are empty; name at least one column.")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ConfigError(
            f"processor.numbers and processor.categories name {', '.join(twice)} twice; a column is one of numbers or "
            "one of categories."
        )


def most_frequent(most: int, counts: Counter[str]) -> tuple[str, ...]:
    """Returns the most frequent categories, of equally frequent ones the first by name.

    Args:
        most: largest number of them.
        counts: how often each is there; the empty one, which is missing, does not count.
    """
    del counts[""]
    return tuple(sorted(counts, key=lambda text: (-counts[text], text))[:most])


def other_columns(row: Mapping[object, object], index: int, columns: Sequence[str]) -> InputError:
    """Returns the error for a row that names no column, or one that is not known.

    Args:
        row: the row.
        index: its number, for the message.
        columns: those that are known.
    """
    if not row:
        return InputError(f"Row {index} names no column; the model takes {', '.join(columns)}, null for missing.")
    key = next(key for key in row if key not in columns)
    near = nearest_name(str(key), columns, cutoff=0.0)
    return InputError(
        f"Row {index} has the column {reprlib.repr(key)}, which the model does not know; the nearest that it knows is "
        f"{near!r}. Its columns are {', '.join(columns)}."
    )
