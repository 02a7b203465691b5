"""Workbooks of Excel and of OpenDocument, read by calamine: a sheet is a table, and its first filled row names it.

Excel has numbers of one kind; a column of whole ones is whole here. Dates become ISO 8601, formulas what they gave when
the workbook was saved.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

from maas.data.arrow_writer import ROWS_PER_BATCH, ArrowWriter, require_different
from maas.data.cells import as_label
from maas.data.objects import batch_of, widen
from maas.errors import DataError, one_line

SheetName = str | int
"""Of a sheet: its name, or its place, the first being 0."""
_Cell = str | float | bool | None


def read_workbook(file: Path, writer: ArrowWriter, *, sheet: SheetName | None = None) -> None:
    """Reads one sheet.

    Args:
        file: .xlsx, .xls, .xlsb or .ods.
        writer: writer that takes the rows.
        sheet: its name, or its place, the first being 0; None takes the first that holds anything.

    Raises:
        ValueError: there is no such sheet, it is empty, a column has no name, or two have one.
    """
    calamine = _calamine()
    try:
        with calamine.CalamineWorkbook.from_path(str(file)) as book:
            chosen = _chosen(book.sheet_names, sheet)
            tables = (book.get_sheet_by_name(name).to_python() for name in chosen)
            rows = next((table for table in map(_filled, tables) if table), [])
    except calamine.CalamineError as error:
        raise ValueError(_refusal(calamine, error)) from error
    if not rows:
        raise ValueError("it holds no rows.")
    names = _names(rows[0])
    values = [dict(zip(names, map(_plain, row), strict=False)) for row in rows[1:]]
    _make_whole(names, values)
    kinds: dict[str, str] = {}
    widen(kinds, {name: [row.get(name) for row in values] for name in names})
    for start in range(0, max(1, len(values)), ROWS_PER_BATCH):
        writer.write(batch_of(values[start : start + ROWS_PER_BATCH], kinds))


def sheet_names(file: Path) -> list[str]:
    """Returns the names of a workbook's sheets.

    Raises:
        DataError: it is no workbook.
    """
    calamine = _calamine()
    try:
        with calamine.CalamineWorkbook.from_path(str(file)) as book:
            return list(book.sheet_names)
    except (calamine.CalamineError, OSError) as error:
        raise DataError(f"{file} cannot be read as a workbook: {_refusal(calamine, error)}") from error


def _refusal(calamine: ModuleType, error: Exception) -> str:
    """Returns why a workbook cannot be opened, and what to do."""
    if isinstance(error, calamine.PasswordError):
        return "it is protected by a password. Save it without one."
    return f"{one_line(error)}. Save it again as a workbook, or as CSV."


def _calamine() -> ModuleType:
    try:
        return import_module("python_calamine")
    except ModuleNotFoundError as error:
        raise DataError(
            "Workbooks need the package python-calamine, which is not installed. In a checkout of maas: "
            "pip install '.[excel]'"
        ) from error


def _chosen(names: Sequence[str], sheet: SheetName | None) -> list[str]:
    if sheet is None:
        return list(names)
    if isinstance(sheet, int) and 0 <= sheet < len(names):
        return [names[sheet]]
    if sheet not in names:
        raise ValueError(f"it has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}. Set sheet=NAME.")
    return [str(sheet)]


def _filled(table: Sequence[Sequence[object]]) -> list[Sequence[object]]:
    """Returns the rows that hold anything."""
    return [row for row in table if any(cell != "" for cell in row)]


def _names(header: Sequence[object]) -> list[str]:
    names = [as_label(_plain(cell)) or "" for cell in header]
    while names and not names[-1]:
        names.pop()
    require_different(names)
    return names


def _plain(cell: object) -> _Cell:
    """Returns a cell as rows hold it."""
    if cell == "" or cell is None:
        return None
    if isinstance(cell, datetime) and (cell.hour, cell.minute, cell.second) == (0, 0, 0):
        return cell.date().isoformat()
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    return cell if isinstance(cell, str | float | int | bool) else str(cell)


def _make_whole(names: Sequence[str], rows: Sequence[dict[str, _Cell]]) -> None:
    """Makes whole numbers of the floats of columns that have no other."""
    for name in names:
        floats = [value for row in rows if isinstance(value := row.get(name), float)]
        if floats and all(value.is_integer() for value in floats):
            for row in rows:
                if isinstance(value := row.get(name), float):
                    row[name] = int(value)
