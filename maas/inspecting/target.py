"""What a column is to be learnt: classes or numbers, how often each, and which other columns give it away."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from maas.errors import DataError
from maas.inspecting.description import ColumnDescription, DataDescription
from maas.suggesting import nearest_name

MOST_CLASSES_OF_NUMBERS = 20
"""Whole numbers that follow each other without a gap are classes up to so many."""
MOST_CLASSES = 1000
FEWEST_ROWS_OF_CLASS = 2.0
"""Rows of a class in the mean; with fewer, a column of texts names its rows."""
MAJORITY = 0.9
"""Fraction of one class from which accuracy does not show whether the others are found."""
GIVEN_AWAY = 0.999
EQUAL = 0.99999
"""Correlation of a column that is the target in another unit."""
FEWEST_ROWS_OF_VALUE = 5


@dataclass(frozen=True)
class TargetDescription:
    """What is to be learnt.

    Args:
        name: column of the target; None where folders are the labels.
        task: `classification` or `regression`.
        labels: rows of each class, the most frequent first; none for numbers.
        missing: rows without a target, which are left out.
        reason: why it is this task.
        same: columns that hold the same in other words, which a model would only copy.
        suspects: columns that give the target away nearly always, which may be known too late.
    """

    name: str | None
    task: Literal["classification", "regression"]
    labels: dict[str, int]
    missing: int = 0
    reason: str = ""
    same: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    @property
    def majority(self) -> float:
        """Fraction of the rows that have the most frequent class; 0 for numbers."""
        return max(self.labels.values()) / sum(self.labels.values()) if self.labels else 0.0

    @property
    def is_unbalanced(self) -> bool:
        """Whether one class is nearly all there is."""
        return self.majority >= MAJORITY


def describe_target(data: DataDescription, name: str | None) -> TargetDescription:
    """Returns what a column is to be learnt as.

    Args:
        data: the data.
        name: column; None for a folder, whose folders are the labels.

    Raises:
        DataError: there is no such column, or nothing can be learnt of it.
    """
    if data.files is not None:
        if name is not None:
            raise DataError(f"{data.origin} is a folder, whose folders are the labels. Leave target={name} out.")
        labels = dict(Counter(data.files.labels).most_common())
        return TargetDescription(None, "classification", labels, reason="folders are the labels")
    column = _found(data, name)
    if column.kind in ("empty", "other"):
        raise DataError(f"The column {name} of {data.origin} {_nothing(column)}. Name another target.")
    if column.distinct == 1:
        raise DataError(
            f"The column {name} holds {column.examples[0]} in each of {column.present:,} rows; there is nothing to "
            "learn. Name another target."
        )
    return _of_column(data, column)


def _of_column(data: DataDescription, column: ColumnDescription) -> TargetDescription:
    is_number, reason = _is_number(column)
    _require_repeating(column, is_number=is_number)
    values = _values(data, column.name, as_labels=not is_number)
    labels = {} if is_number else dict(Counter(value for value in values if value is not None).most_common())
    same, suspects = _givers(data, column, values)
    task: Literal["classification", "regression"] = "regression" if is_number else "classification"
    return TargetDescription(column.name, task, labels, column.missing, reason, same, suspects)


def _found(data: DataDescription, name: str | None) -> ColumnDescription:
    names = [column.name for column in data.columns]
    listed = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    if name is None:
        raise DataError(f"Which column of {data.origin} is to be learnt? Set target=COLUMN; its columns are {listed}.")
    if name not in names:
        near = nearest_name(name, names)
        advice = f"Did you mean target={near}?" if near else f"Its columns are {listed}."
        raise DataError(f"{data.origin} has no column {name}. {advice}")
    return data.column(name)


def _nothing(column: ColumnDescription) -> str:
    return "holds nothing" if column.kind == "empty" else "holds lists, objects or files, which are no targets"


def _is_number(column: ColumnDescription) -> tuple[bool, str]:
    """Returns whether a column is to be learnt as numbers, and why."""
    if column.low is None or column.high is None:
        return False, ""
    if not column.is_whole:
        return True, "numbers with fractions"
    follows = column.high - column.low == column.distinct - 1
    if not follows or column.distinct > MOST_CLASSES_OF_NUMBERS:
        return True, "whole numbers with gaps, or too many to be classes"
    if column.distinct > 2:
        return False, (
            f"{column.low:g} to {column.high:g} without a gap are classes, of which each gets a probability; "
            "data.target=number with task=regression learns their order instead"
        )
    return False, ""


def _require_repeating(column: ColumnDescription, *, is_number: bool) -> None:
    """Refuses a column that names its rows.

    Raises:
        DataError: it does.
    """
    is_unlike = column.present < FEWEST_ROWS_OF_CLASS * column.distinct or column.distinct > MOST_CLASSES
    if column.kind == "id" or (not is_number and is_unlike):
        raise DataError(
            f"The column {column.name} holds {column.distinct:,} different values in {column.present:,} rows, e.g. "
            f"{column.examples[0]}; a class needs several rows. Name another target."
        )


def _values(data: DataDescription, name: str, *, as_labels: bool) -> list[Any]:
    if data.table is None:
        return []
    return list(data.table.labels(name)[:] if as_labels else data.table.column(name)[:])


def _givers(
    data: DataDescription, target: ColumnDescription, targets: Sequence[Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the columns that hold the same as the target, and those that give it away nearly always."""
    same: list[str] = []
    suspects: list[str] = []
    for column in data.columns:
        if column.name == target.name or column.kind not in ("number", "category") or data.table is None:
            continue
        values = data.table.column(column.name)[:]
        pairs = [(one, other) for one, other in zip(values, targets, strict=True) if None not in (one, other)]
        if column.low is not None and target.low is not None and _correlation(pairs) >= EQUAL:
            same.append(column.name)
        elif column.present >= FEWEST_ROWS_OF_VALUE * column.distinct and pairs:
            (same if _is_same(pairs) else suspects if _gives_away(pairs) else []).append(column.name)
    return tuple(same), tuple(suspects)


def _correlation(pairs: Sequence[tuple[Any, Any]]) -> float:
    if len(pairs) < FEWEST_ROWS_OF_VALUE or not isinstance(pairs[0][1], int | float):
        return 0.0
    one, other = np.array(pairs, dtype=np.float64).T
    if not one.std() or not other.std():
        return 0.0
    return float(abs(np.corrcoef(one, other)[0, 1]))


def _is_same(pairs: Sequence[tuple[Any, Any]]) -> bool:
    """Returns whether each value stands with one target and each target with one value."""
    found = set(pairs)
    return len(found) == len({one for one, _ in found}) == len({other for _, other in found})


def _gives_away(pairs: Sequence[tuple[Any, Any]]) -> bool:
    """Returns whether the most frequent target of each value is nearly always right, where it is not so anyway."""
    counts = Counter(pairs)
    best = Counter[Any]()
    for (value, _), count in counts.items():
        best[value] = max(best[value], count)
    majority = Counter(target for _, target in pairs).most_common(1)[0][1] / len(pairs)
    return best.total() >= GIVEN_AWAY * len(pairs) > majority * len(pairs)
