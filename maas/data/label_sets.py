"""Sets of labels, as cells write them: lists, texts with a separator, and columns of 0 and 1."""

from collections.abc import Callable, Sequence
from typing import Any

from maas.errors import DataError

SET_ADVICE = (
    "sets of labels are a column of lists, several columns of 0 and 1, or texts with data.source.label_separator "
    "between the labels. Set one of them."
)
"""Advice for a column that holds no sets, for messages."""


def class_names_of(feature: object) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Returns what gives names for the numbers that `datasets` stores of labels in a list; other values stay.

    Args:
        feature: what `datasets` knows of the column; None where it did not read it.
    """
    names = getattr(getattr(feature, "feature", None), "names", None)
    return (lambda numbers: [names[one] for one in numbers]) if names else lambda values: values


def labels_in(text: str, separator: str) -> list[str]:
    """Returns the labels of a cell, without the blanks around them; nothing between two separators is no label."""
    return [part for part in map(str.strip, text.split(separator)) if part]


def columns_of_one(names: Sequence[str], *values: object) -> list[str]:
    """Returns the columns that hold 1 in a row; what is missing counts as 0.

    Raises:
        DataError: one holds something else than 0 and 1.
    """
    for name, value in zip(names, values, strict=True):
        if value not in (None, 0, 1):
            raise DataError(
                f"The column {name} holds {value!r}; columns that are labels hold 0 and 1. Name another column, or one "
                "column of labels."
            )
    return [name for name, value in zip(names, values, strict=True) if value]
