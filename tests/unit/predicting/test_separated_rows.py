"""Cells are those that Python's csv finds, whoever reads them and wherever a file is cut."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.errors import DataError
from maas.predicting import separated_rows
from maas.predicting.separated_rows import SeparatedRows

CELLS = st.text(alphabet='ab1."\n\r,; é中\t', max_size=6)


def rows_of(path, numbers=()):
    """Returns cells and faults of a file, by the number of the row."""
    rows, faults = [], {}
    for block in SeparatedRows(path, ",", numbers).blocks():
        faults |= {len(rows) + place: reason for place, reason in block.faults.items()}
        rows += [tuple(row.values()) for row in block.table.to_pylist()]
    return rows, faults


def by_python(content: bytes) -> list[tuple[str, ...]]:
    text = content.decode("utf-8-sig")
    return [tuple(row) for row in csv.reader(io.StringIO(text, newline="")) if row]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8),
    piece=st.integers(1, 40),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_cells_are_pythons_when_a_file_is_cut_anywhere(tmp_path_factory, rows, piece, quoting, end):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=end).writerows([("x", "y", "z"), *rows])
    content = text.getvalue().encode()
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated_rows, "BYTES_AT_A_TIME", piece)
        found, faults = rows_of(path)
    expected = by_python(content)[1:]
    assert found == [row if len(row) == 3 else (None,) * 3 for row in expected]
    assert list(faults) == [place for place, row in enumerate(expected) if len(row) != 3]


@settings(max_examples=60, deadline=None)
@given(body=st.text(alphabet='a1",\n', max_size=30), piece=st.integers(1, 12))
def test_cells_are_pythons_when_quotes_stand_anywhere(tmp_path_factory, body, piece):
    content = f"x,y\n{body}".encode()
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated_rows, "BYTES_AT_A_TIME", piece)
        found, faults = rows_of(path)
    expected = by_python(content)[1:]
    unclosed = [place for place, reason in faults.items() if "quote" in reason]
    for place, (row, wanted) in enumerate(zip(found, expected, strict=True)):
        if place not in faults:
            assert row == wanted[:2]
        elif place not in unclosed:
            assert len(wanted) < 2 or any(wanted[2:])


@pytest.mark.parametrize(
    ("content", "rows", "faults"),
    [
        (b"x,y\n1,2\n3\n4,5,6\n7,8,\n", [("1", "2"), (None, None), (None, None), ("7", "8")], {1: 1, 2: 3}),
        (b"x,y,\n1,2,\n3,4,\n", [("1", "2"), ("3", "4")], {}),
        (b"\xef\xbb\xbfx,y\r\n\r\n1,2\r\n", [("1", "2")], {}),
        (b'x,y\n1,"2\n3,4\n', [(None, None)], {0: None}),
        (b"x,y\r1,2\r3,4\r", [("1", "2"), ("3", "4")], {}),
        (b"x,y\n", [], {}),
    ],
)
def test_row_is_a_fault_when_its_cells_do_not_fit(tmp_path, content, rows, faults):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    found, reasons = rows_of(path)
    assert found == rows
    assert reasons == {
        place: f"The row has {cells} cells, and the header names 2 columns."
        if cells
        else "The row has a quote that nothing closes; all that follows it in the file was read as its cell."
        for place, cells in faults.items()
    }


NUMBERS = {
    "1": 1.0, " 2.5\t": 2.5, "+3": 3.0, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "007": 7.0, "": None, "NA": None,
    "nan": None, "null": None, "0.1": 0.1, "123456789012345678": 123456789012345678.0, "-0": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("other", ["1", "abc"])
def test_number_is_pythons_when_a_column_takes_numbers(tmp_path, other):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f'"{text}",{text}\n' for text in [*NUMBERS, other]))
    found, faults = rows_of(path, ["x"])
    assert [row[0] for row in found[:-1]] == list(NUMBERS.values())
    assert [row[1] for row in found[:-1]] == list(NUMBERS)
    wrong = "The column x holds 'abc', and the model takes a number there. "
    remedy = "Correct it, or leave it empty for a missing number."
    assert faults == ({} if other == "1" else {len(NUMBERS): wrong + remedy})


@pytest.mark.parametrize("text", ["inf", "Infinity", "0x1F", "1_000", "٣", "1,5", "-", "1e", "abc"])
def test_text_is_a_fault_when_it_is_no_number(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(f'x\n"{text}"\n1\n', encoding="utf-8")
    found, faults = rows_of(path, ["x"])
    assert found == [(None,), (1.0,)]
    assert list(faults) == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no header. Name the columns in its first line."),
        (b"x,x\n1,2\n", "it has several columns of the name 'x'. Give each column a name of its own."),
        (b"x\n\xff\n", "'utf-8' codec can't decode byte 0xff in position 2: invalid start byte. Save it as UTF-8."),
    ],
)
def test_file_is_refused_when_it_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        rows_of(path)
    assert str(caught.value) == f"{path} cannot be read as csv: {message}"
