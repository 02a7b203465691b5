"""Workbooks: which sheet, which types."""

from datetime import date

import pytest

from maas.data.cells import ColumnReading
from maas.data.formats import FileSettings
from maas.data.sources import read_file
from maas.errors import DataError
from tests.unit.workbook_files import write_workbook


@pytest.fixture
def book(tmp_path):
    rows = [["007", 1, 1.5, date(2024, 2, 29), "x"], [None, None, None, None, None], ["010", 2, None, None, 3]]
    write_workbook(tmp_path / "book.xlsx", {"empty": [], "rows": [["code", "n", "f", "day", "mixed"], *rows]})
    return tmp_path / "book.xlsx"


def columns(path, **settings):
    sheet = read_file(path, ColumnReading(), FileSettings(**settings))
    return {name: sheet.column(name)[:] for name in sheet.names}


def test_cells_keep_their_types_when_a_sheet_is_read(book):
    assert columns(book) == {
        "code": ["007", "010"],
        "n": [1, 2],
        "f": [1.5, None],
        "day": ["2024-02-29", None],
        "mixed": ["x", 3],
    }


def test_sheet_is_the_same_when_it_is_named_by_name_and_by_place(book):
    assert columns(book, sheet="rows") == columns(book, sheet=1) == columns(book)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sheet": "row"},
            r"book\.xlsx cannot be read as a workbook: it has no sheet 'row'; its sheets are 'empty', 'rows'",
        ),
        ({"sheet": "empty"}, r"book\.xlsx cannot be read as a workbook: it holds no rows\."),
        ({"encoding": "utf-8"}, r"data\.source\.encoding is 'utf-8', and .*book\.xlsx has none\. Leave it out\."),
    ],
)
def test_reason_is_given_when_a_sheet_cannot_be_read(book, settings, message):
    with pytest.raises(DataError, match=message):
        columns(book, **settings)


def test_file_is_refused_in_one_line_when_it_is_no_workbook(tmp_path):
    (tmp_path / "rows.xlsx").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"rows\.xlsx cannot be read as a workbook: [^\n]+$"):
        columns(tmp_path / "rows.xlsx")


def test_columns_are_named_as_a_sheet_shows_them_when_its_header_holds_numbers(tmp_path):
    write_workbook(tmp_path / "years.xlsx", {"rows": [["town", 2019, 20.5], ["Ulm", 1, 2]]})
    assert columns(tmp_path / "years.xlsx") == {"town": ["Ulm"], "2019": [1], "20.5": [2]}
