"""Tables and columns of other libraries as raw rows: frames of pandas and polars, tables of pyarrow, and their columns.

They are known by what they can do: the runtime imports none of them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from maas.errors import InputError
from maas.runtime.codec import Codec
from maas.suggesting import nearest_name

LISTERS = ("to_list", "to_pylist", "tolist")
"""Methods by which columns give their values as Python's own: those of pandas and polars, pyarrow, numpy."""


@runtime_checkable
class NamedColumns(Protocol):
    """What has columns by name."""

    @property
    def columns(self) -> Iterable[object]:
        """Names of the columns, or the columns themselves."""
        ...

    def __getitem__(self, name: str, /) -> object:
        """Returns a column."""
        ...


def raw_rows_of(rows: Sequence[Any] | NamedColumns, processor: Codec) -> Sequence[Any]:
    """Returns raw rows of a table, of a column, or as they are.

    Of a table, the columns that the model reads are taken and all others left out: a column of targets may stay. A
    model that reads one value takes the column of its input's name, or the only one that there is; one that reads a
    text also the only one of texts. One that reads an array of numbers takes all columns.

    Args:
        rows: a frame or table of N rows, a column of N values, or a sequence of N raw rows.
        processor: processor of the model.

    Raises:
        InputError: a column that the model reads is not there.
    """
    if isinstance(rows, NamedColumns):
        names = [spec.name for spec in processor.input_specs]
        if len(names) == 1 and len(processor.input_specs[0].shape) > 1 and hasattr(rows, "to_numpy"):
            return list(rows.to_numpy())  # a row of numbers is a row of the table
        is_by_column = set(processor.row_schema.get("properties", ())) == set(names)
        if is_by_column:
            return _by_column(rows, names)
        return _of_one_column(rows, names[0], is_text=processor.row_schema.get("type") == "string")
    if hasattr(rows, "toarray"):
        raise InputError(f"predict was given a {type(rows).__name__}, which is sparse. Write rows.toarray().")
    lister = getattr(rows, "to_list", None) or getattr(rows, "to_pylist", None)
    found: Sequence[Any] = rows if lister is None else lister()
    return found


def _by_column(table: NamedColumns, names: Sequence[str]) -> list[dict[str, object]]:
    present = _names_of(table)
    if missing := [name for name in names if name not in present]:
        near = nearest_name(missing[0], present)
        advice = f"Did you mean {near!r}?" if near else "Add it, with None where nothing is known."
        raise InputError(
            f"The table has no column {', '.join(map(repr, missing))}; the model reads {', '.join(names)}. {advice}"
        )
    columns = [_values(table, present[name]) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _of_one_column(table: NamedColumns, name: str, *, is_text: bool) -> list[object]:
    present = _names_of(table)
    columns = [present[name]] if name in present else list(present.values())
    if is_text and len(columns) > 1:
        columns = [one for one in columns if any(isinstance(value, str) for value in _values(table, one))]
    if len(columns) == 1:
        return _values(table, columns[0])
    shown = ", ".join(map(repr, list(present)[:10]))
    raise InputError(
        f"The model reads one value a row, its {name}; the table has {len(present)} columns: {shown}. Choose the "
        f"one to read, e.g. predict(table[{next(iter(present), name)!r}])."
    )


def _names_of(table: NamedColumns) -> dict[str, Any]:
    """Returns a table's names of columns by their texts."""
    names = getattr(table, "column_names", None)  # pyarrow's `columns` are the values
    return {str(name): name for name in (table.columns if names is None else names)}


def _values(table: NamedColumns, name: str) -> list[object]:
    column = table[name]
    if not (lister := next((one for one in LISTERS if hasattr(column, one)), None)):
        raise InputError(f"The column {name!r} is a {type(column).__name__}; a table has one column of each name.")
    values: list[object] = getattr(column, lister)()
    return values
