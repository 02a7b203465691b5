"""Tables of mixed columns: a row is a dictionary by column, as the tabular processor takes it.

Values are whole numbers, numbers, truth values and text; a missing one is None. Columns are neither scaled nor encoded.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, TypeAlias

import pandas as pd

from maas.bounds import ExistingPath
from maas.data.mapped import Column
from maas.data.preparing import first_line
from maas.data.sources import as_label, called, format_of, loaded, require_columns
from maas.data.system import file_of_package
from maas.data.tables import Table, Tables
from maas.data.unpacking import plain
from maas.errors import DataError

Derived: TypeAlias = Callable[[pd.DataFrame], pd.Series]
"""Makes a column of the others."""

MISSING = ("", "NA", "NaN", "nan", "null")
"""What stands for nothing in a CSV file."""

PLAIN = frozenset({type(None), bool, int, float, str})
ADVICE = "Set data.source.target and data.source.columns."
NOTHING: Mapping[str, Any] = MappingProxyType({})


def table(
    path: ExistingPath,
    target: str,
    columns: Sequence[str] | None = None,
    test_path: ExistingPath | None = None,
    derived: Mapping[str, Any] = NOTHING,
    texts: Sequence[str] = (),
    missing: Sequence[str] = MISSING,
) -> Tables:
    """Reads CSV, TSV, JSON (lines) or Parquet, plain or compressed.

    Args:
        path: the file.
        target: the column to learn.
        columns: those that a row keeps; null keeps all others.
        test_path: a second file that holds the test split.
        derived: name → part that makes a column of the others, e.g. `weekday`.
        texts: columns of a CSV file that stay text though they look like numbers, e.g. codes such as 007.
        missing: what stands for nothing in a CSV file.

    Raises:
        DataError: the format is unknown, the file cannot be read, lacks a column, or holds lists in one.
    """
    paths = {"train": path, "test": test_path} if test_path else {"all": path}
    return {
        split: _rows(_with(frame_of(Path(file), texts, missing), derived, file), target, columns, file)
        for split, file in paths.items()
    }


def table_of_package(
    package: str,
    path: str,
    target: str,
    columns: Sequence[str] | None = None,
    derived: Mapping[str, Any] = NOTHING,
    texts: Sequence[str] = (),
    missing: Sequence[str] = MISSING,
) -> Tables:
    """Reads a file that an installed package ships; the package itself is not imported.

    Args:
        package: its name.
        path: relative to the package's folder.
        target: the column to learn.
        columns: those that a row keeps; null keeps all others.
        derived: name → part that makes a column of the others.
        texts: columns of a CSV file that stay text.
        missing: what stands for nothing in a CSV file.

    Raises:
        DataError: the package or the file is missing, or whatever `table` raises.
    """
    frame = _with(frame_of(file_of_package(package, path), texts, missing), derived, path)
    return {"all": _rows(frame, target, columns, path)}


def data_frame(
    loader: str, target: str, columns: Sequence[str] | None = None, derived: Mapping[str, Any] = NOTHING
) -> Tables:
    """Takes a pandas DataFrame from a package.

    Args:
        loader: a DataFrame or a function that returns one, e.g. `my_package.my_frame`.
        target: the column to learn.
        columns: those that a row keeps; null keeps all others.
        derived: name → part that makes a column of the others.

    Raises:
        DataError: it cannot be loaded or is no DataFrame, or whatever `table` raises.
    """
    frame = called(loader)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{loader} gives a {type(frame).__name__}; it must be or return a pandas DataFrame.")
    return {"all": _rows(_with(frame.convert_dtypes(), derived, loader), target, columns, loader)}


def hub_table(
    id: str,  # noqa: A002 - the hub's word
    target: str,
    columns: Sequence[str] | None = None,
    config: str | None = None,
    revision: str | None = None,
) -> Tables:
    """Loads a data set of the Hugging Face hub as rows of columns.

    Args:
        id: OWNER/NAME or a folder.
        target: the column to learn.
        columns: those that a row keeps; null keeps all others.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.

    Raises:
        DataError: it cannot be loaded or lacks a column.
    """
    tables: Tables = {}
    for split, parts in loaded(id, config, revision).items():
        names = _kept(list(parts[0].features), target, columns, id)
        rows = Column(parts, names, _row_of(names))
        tables[split] = {"input": rows, "label": Column(parts, [target], lambda value: as_label(_plain(target, value)))}
    return tables


def weekday(year: str = "year", month: str = "month", day: str = "day") -> Derived:
    """Makes a column of the days of the week, Mon to Sun.

    Args:
        year: column of years.
        month: column of months, 1 to 12.
        day: column of days, 1 to 31.
    """

    def days(frame: pd.DataFrame) -> pd.Series:
        parts = {"year": frame[year], "month": frame[month], "day": frame[day]}
        return pd.to_datetime(pd.DataFrame(parts)).dt.day_name().str[:3]

    return days


def frame_of(path: Path, texts: Sequence[str] = (), missing: Sequence[str] = MISSING) -> pd.DataFrame:
    """Reads a file's columns; arguments as in `table`.

    Raises:
        DataError: the format is unknown, or the file cannot be read.
    """
    kind, suffix = format_of(path.with_suffix("") if path.suffix.lower() == ".zip" else path)
    try:
        with TemporaryDirectory() as folder, plain(path, Path(folder)) as file:
            if kind == "parquet":
                return pd.read_parquet(file, dtype_backend="numpy_nullable")
            if kind == "json":
                return _read_json(file, lines=suffix == ".jsonl")
            return pd.read_csv(
                file,
                sep="\t" if suffix == ".tsv" else ",",
                dtype=dict.fromkeys(texts, "string"),
                keep_default_na=False,  # "None" is a word
                na_values=list(missing),
                low_memory=False,  # a column has one type from its first row to its last
                encoding="utf-8-sig",
                dtype_backend="numpy_nullable",  # whole numbers with a gap stay whole
            )
    except Exception as error:  # parsers and unpackers have no error in common
        raise DataError(f"{path} cannot be read as {kind}: {first_line(error)}") from error


def rows_of_frame(frame: pd.DataFrame, columns: Sequence[str], target: str | None) -> Table:
    """Returns rows of columns that are there, with the target's as labels; None where rows carry none."""
    values = {name: _listed(frame[name]) for name in columns}
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return {
        "input": rows,
        "label": [None] * len(rows) if target is None else list(map(as_label, _listed(frame[target]))),
    }


def _read_json(path: Path, *, lines: bool) -> pd.DataFrame:
    """Reads a list of objects, or one object a line whatever the file's ending."""
    try:
        return pd.read_json(path, lines=lines, dtype=False, dtype_backend="numpy_nullable")
    except ValueError:
        if lines:
            raise
        return _read_json(path, lines=True)


def _with(frame: pd.DataFrame, derived: Mapping[str, Any], origin: str) -> pd.DataFrame:
    for name, make in derived.items():
        try:
            frame[name] = make(frame)
        except KeyError as error:
            require_columns([error.args[0]], list(frame.columns), origin, f"data.source.derived.{name} needs it.")
            raise
    return frame


def _rows(frame: pd.DataFrame, target: str, columns: Sequence[str] | None, origin: str) -> Table:
    names = _kept(list(map(str, frame.columns)), target, columns, origin)
    return rows_of_frame(frame, names, target)


def _kept(present: Sequence[str], target: str, columns: Sequence[str] | None, origin: str) -> list[str]:
    require_columns([*(columns or ()), target], present, origin, ADVICE)
    if columns and target in columns:
        raise DataError(f"data.source.columns names {target}, which is the target; a row must not hold it.")
    return list(columns) if columns else [name for name in present if name != target]


def _listed(series: pd.Series) -> list[Any]:
    values: list[Any] = series.astype(object).where(series.notna(), None).tolist()
    return [_plain(str(series.name), value) for value in values]


def _row_of(names: Sequence[str]) -> Callable[..., dict[str, Any]]:
    return lambda *values: {name: _plain(name, value) for name, value in zip(names, values, strict=True)}


def _plain(name: str, value: Any) -> Any:
    """Returns a value as JSON knows it."""
    return value if type(value) in PLAIN else _scalar(name, value)


def _scalar(name: str, value: Any) -> float | str:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):  # and a date with a time, which is one
        return value.isoformat()
    raise DataError(
        f"The column {name} holds a {type(value).__name__}; a row's columns are numbers, texts and truth values. "
        "Leave it out of data.source.columns."
    )
