"""Tables of mixed columns: a row is a dictionary by column, as the tabular processor takes it.

Values are whole numbers, numbers, truth values and text; a missing one is None. Columns are neither scaled nor encoded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import pandas as pd

from maas.bounds import ExistingPath
from maas.data.cells import MISSING, ColumnReading, DecimalMark, label_cell, value_cell
from maas.data.formats import FileSettings
from maas.data.frames import arrow_rows_of_frame
from maas.data.hub import loaded
from maas.data.sheets import Sheet, require_columns
from maas.data.sources import Name, called, column_names, labels_of, read_file, reading_of
from maas.data.system import file_of_package
from maas.data.tables import ArrowRows, Table, Tables
from maas.data.workbooks import SheetName
from maas.errors import DataError

Derived: TypeAlias = Callable[[pd.DataFrame], pd.Series]
"""Makes a column of the others: of those that its `columns` names, where it has such an attribute."""

ADVICE = "Set data.source.target and data.source.columns."
DTYPES = {frozenset({int}): "Int64", frozenset({bool}): "boolean", frozenset({str}): "string"}
"""Of pandas, by the types that a column holds beside None; what holds other types stays as it is."""


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which columns of a table a row keeps, which one is learnt, and how they are read; wherever the table comes from.

    A CSV file holds texts. A column of them is one of numbers where `numbers` names it, or where nothing is set and all
    of its cells are numbers, none of them written as a code is (007, or of more than 18 digits). Other formats have
    types, which stay.

    Args:
        target: column to learn; its labels are the texts that the file holds. A column of lists, or several columns of
            0 and 1 whose names are the labels, give each row a set of labels.
        columns: columns that a row keeps; null keeps all others.
        derived: name → part that makes a column of the others, e.g. `weekday`.
        texts: columns that are texts though they look like numbers, or are numbers in the file.
        missing: texts that stand for nothing.
        numbers: columns whose cells must be numbers; `data=columns` names those of the processor here.
        categories: columns that keep their own text, so that 1.0 is not 1; likewise.
        label_separator: what stands between the labels of a cell that holds several; null where it holds one.
    """

    target: Name | Sequence[Name]
    columns: Sequence[Name] | None = None
    derived: Mapping[str, Any] = field(default_factory=dict)
    texts: Sequence[Name] = ()
    missing: Sequence[str] = MISSING
    numbers: Sequence[Name] = ()
    categories: Sequence[Name] = ()
    label_separator: str | None = None

    @property
    def reading(self) -> ColumnReading:
        """How columns are read."""
        return reading_of(self.texts, self.numbers, self.categories, self.missing)

    def rows(self, sheet: Sheet) -> Table:
        """Returns rows by column, with their targets as labels.

        Raises:
            DataError: a column is missing, holds lists, or holds a text where numbers are required.
        """
        return _rows(sheet, self.derived, self.target, self.columns, self.label_separator)


@dataclass(frozen=True)
class FileTable(TableColumns):
    """A file of CSV, TSV, JSON (lines), Parquet or a workbook, plain or compressed.

    Args:
        path: the file.
        test_path: a second file that holds the test split.
        encoding: encoding of a text file, as Python names it; null for UTF-8.
        separator: what separates cells; null for a comma in .csv and a tab in .tsv.
        decimal: what comes before the fraction of a number in a file of texts.
        sheet: sheet of a workbook, by its name or its place from 0; null for the first that holds anything.
    """

    path: ExistingPath
    test_path: ExistingPath | None = None
    encoding: str | None = None
    separator: str | None = None
    decimal: DecimalMark = "."
    sheet: SheetName | None = None

    @property
    def reading(self) -> ColumnReading:
        """How columns are read."""
        return replace(super().reading, decimal=self.decimal)

    def read(self) -> Tables:
        """Returns the rows.

        Raises:
            DataError: the format is unknown, the file cannot be read, or its columns are not as they should be.
        """
        paths = {"train": self.path, "test": self.test_path} if self.test_path else {"all": self.path}
        settings = FileSettings(self.encoding, self.separator, self.sheet)
        return {split: self.rows(read_file(file, self.reading, settings)) for split, file in paths.items()}


@dataclass(frozen=True)
class PackageTable(TableColumns):
    """A file that an installed package ships; the package itself is not imported.

    Args:
        package: name of the package.
        path: path relative to the package's folder.
    """

    package: str
    path: str

    def read(self) -> Tables:
        """Returns the rows.

        Raises:
            DataError: the package or the file is missing, or its columns are not as they should be.
        """
        return {"all": self.rows(read_file(file_of_package(self.package, self.path), self.reading))}


@dataclass(frozen=True)
class FrameTable(TableColumns):
    """A pandas DataFrame of a package; an index that has a name is a column.

    Args:
        loader: a DataFrame or a function that returns one, e.g. `my_package.my_frame`.
    """

    loader: str

    def read(self) -> Tables:
        """Returns the rows.

        Raises:
            DataError: it cannot be loaded, is no DataFrame, or its columns are not as they should be.
        """
        frame = called(self.loader)
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"{self.loader} gives a {type(frame).__name__}; it must be or return a pandas DataFrame.")
        return {"all": self.rows(Sheet([arrow_rows_of_frame(frame, self.loader)], self.loader, self.reading))}


@dataclass(frozen=True)
class HubTable(TableColumns):
    """A data set of the Hugging Face hub as rows of columns; rows stay on the disk until they are read.

    Args:
        id: OWNER/NAME or a folder.
        config: configuration of the data set.
        revision: commit, so that the rows cannot change.
    """

    id: str
    config: str | None = None
    revision: str | None = None

    def read(self) -> Tables:
        """Returns the rows.

        Raises:
            DataError: it cannot be loaded or lacks a column.
        """
        return {split: self._lazily(parts) for split, parts in loaded(self.id, self.config, self.revision).items()}

    def _lazily(self, parts: Sequence[ArrowRows]) -> Table:
        sheet = Sheet(parts, self.id, self.reading)
        targets = column_names(self.target)
        names = _kept(sheet.names, targets, self.columns, self.id)
        labels = labels_of(sheet, targets, self.label_separator)
        return {"input": sheet.rows(names, partial(_row, names)), "label": labels}


def weekday(year: str = "year", month: str = "month", day: str = "day") -> Derived:
    """Makes a column of the days of the week, Mon to Sun.

    Args:
        year: column of years.
        month: column of months, 1 to 12.
        day: column of days, 1 to 31.
    """
    return _Weekday((year, month, day))


@dataclass(frozen=True)
class _Weekday:
    columns: tuple[str, str, str]

    def __call__(self, frame: pd.DataFrame) -> pd.Series:
        year, month, day = (frame[name] for name in self.columns)
        return pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day})).dt.day_name().str[:3]


def table_rows(sheet: Sheet, columns: Sequence[str], target: str | None) -> Table:
    """Returns rows of columns that are there, with the target's as labels; None where rows carry none."""
    rows = sheet.rows(columns, partial(_row, columns))[:]
    return {"input": rows, "label": sheet.labels(target)[:] if target else [None] * len(rows)}


def _row(names: Sequence[str], *values: object) -> dict[str, object]:
    return dict(zip(names, values, strict=True))


def _rows(
    sheet: Sheet,
    derived: Mapping[str, Any],
    target: Name | Sequence[Name],
    columns: Sequence[Name] | None,
    separator: str | None,
) -> Table:
    made: dict[str, list[Any]] = {}
    for name, make in derived.items():
        made[name] = _derived(sheet, made, name, make)
    targets = column_names(target)
    names = _kept([*sheet.names, *(name for name in made if name not in sheet.names)], targets, columns, sheet.origin)
    values = [made[name] if name in made else sheet.column(name)[:] for name in names]
    is_made = targets[0] in made
    labels = map(label_cell(targets[0], ()), made[targets[0]]) if is_made else labels_of(sheet, targets, separator)[:]
    return {"input": [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)], "label": list(labels)}


def _derived(sheet: Sheet, made: Mapping[str, list[Any]], name: str, make: Derived) -> list[Any]:
    """Returns what a part makes of the columns that it names, or else of all, those made before it among them."""
    present, advice = [*sheet.names, *made], f"data.source.derived.{name} needs it."
    wanted = list(getattr(make, "columns", dict.fromkeys(present)))
    require_columns(wanted, present, sheet.origin, advice)
    frame = pd.DataFrame({column: _series(sheet, made, column) for column in wanted})
    try:
        series = make(frame)
    except KeyError as error:
        require_columns([error.args[0]], present, sheet.origin, advice)
        raise
    values = series.astype(object).where(series.notna(), None).tolist()
    return list(map(value_cell(name, "any", ()), values))


def _series(sheet: Sheet, made: Mapping[str, list[Any]], name: str) -> pd.Series:
    """Returns a column as pandas has it; one of values that no row can hold is empty."""
    try:
        values = made[name] if name in made else sheet.column(name)[:]
    except DataError:
        values = [None] * sum(map(len, sheet.parts))
    types = frozenset(map(type, values)) - {type(None)}
    return pd.Series(
        values, dtype="Float64" if float in types and types <= {int, float} else DTYPES.get(types, "object")
    )


def _kept(present: Sequence[str], targets: Sequence[str], columns: Sequence[Name] | None, origin: str) -> list[str]:
    names = list(map(str, columns or ()))
    require_columns([*names, *targets], present, origin, ADVICE)
    if held := [target for target in targets if target in names]:
        raise DataError(f"data.source.columns names {', '.join(held)}, which is the target; a row must not hold it.")
    return names or [name for name in present if name not in targets]
