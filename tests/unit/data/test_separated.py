"""Separated values: every cell is the text that Python's csv finds; rows that do not fit are named."""

import csv
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maas.data import columns, sources
from maas.data.splits import prepare
from maas.errors import DataError


def read_file_table(path, target, kept=None, **settings):
    return columns.FileTable(path=path, target=target, columns=kept, **settings).read()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))


def written(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def by_csv(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return [row for row in csv.reader(lines, delimiter=delimiter) if row][1:]


def refusal(path: Path, **settings) -> str:
    with pytest.raises(DataError) as caught:
        read_file_table(str(path), "y", **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path} cannot be read as csv: ")


def test_labels_are_those_that_csv_counts_when_a_block_in_the_middle_looks_like_numbers(tmp_path):
    labels = ["01", "02"] * 5000 + ["1", "2"] * 5000 + ["01", "2"] * 2000 + ["a"] + ["01", "02"] * 2999 + ["1"]
    path = written(tmp_path, "text,label\n" + "".join(f"row {index},{one}\n" for index, one in enumerate(labels)))
    expected = Counter(label for _, label in by_csv(path))
    assert expected == {"01": 9999, "02": 7999, "1": 5001, "2": 7000, "a": 1}
    assert Counter(sources.files(str(path))["all"]["label"][:]) == expected
    assert Counter(read_file_table(str(path), "label")["all"]["label"]) == expected


@pytest.mark.parametrize(
    ("spelt", "block"),
    [
        (("01", "02", "1", "2"), 10_000),
        (("1.1", "1.10", "1e1", "10"), 1100),
        (("TRUE", "true", "True", "t"), 1100),
        (("1", "1.0", "1.", "+1"), 1100),
    ],
)
def test_labels_and_categories_keep_their_own_text_when_numbers_would_be_equal(tmp_path, spelt, block):
    rows = [f"row {index},{spelt[index // block + index % 2]},{spelt[-index % 4]}\n" for index in range(3 * block)]
    path = written(tmp_path, "text,label,kind\n" + "".join(rows))
    _, labels, kinds = zip(*by_csv(path), strict=True)
    table = read_file_table(str(path), "label", ["kind"], categories=["kind"])["all"]
    assert table["label"] == list(labels)
    assert [row["kind"] for row in table["input"]] == list(kinds)
    assert prepare(sources.files(str(path))).labels == tuple(sorted(spelt))


@pytest.mark.parametrize("late", ["word", "4.5", "1_001", "0x1F", "\u0663", "inf", "1,5", "-", "+", "."])
def test_column_has_one_type_when_a_late_cell_is_unlike_the_others(tmp_path, late):
    path = written(tmp_path, "x,unused,y\n" + "7,7,1\n" * 25_000 + f'"{late}","{late}",1\n')
    rows = read_file_table(str(path), "y", ["x"])["all"]["input"]
    expected = (7.0, 4.5) if late == "4.5" else ("7", late)
    assert ([row["x"] for row in rows] == [expected[0]] * 25_000 + [expected[1]], len(rows)) == (True, 25_001)
    assert {type(row["x"]) for row in rows} == {type(expected[0])}
    assert sources.files(str(path), input="y", label="x")["all"]["label"][24_999:] == ["7", late]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("123456789012345678", 123456789012345678),
        ("1234567890123456789", "1234567890123456789"),
        ("12345678901234567890", "12345678901234567890"),
        ("007", "007"),
        ("-007.5", "-007.5"),
        ("0.5", 0.5),
        ("-1.5e3", -1500.0),
        ("+5", 5.0),
    ],
)
def test_number_is_no_code_when_nothing_is_set_for_its_column(tmp_path, cell, read):
    (row,) = read_file_table(str(written(tmp_path, f"x,y\n{cell},1\n")), "y")["all"]["input"]
    assert (row["x"], type(row["x"])) == (read, type(read))


def test_file_is_named_with_what_to_do_when_it_is_not_utf_8(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("x,y\né,1\n".encode("latin-1"))
    said = refusal(path)
    assert said == (
        "'utf-8' codec can't decode byte 0xe9 in position 4: invalid continuation byte. Save it as UTF-8, or set "
        "data.source.encoding."
    )


@pytest.mark.parametrize("content", ["\ufeffx,y\r1,a\r\r2,b\r", "\r\n\r\nx,y\r\n1,a\r\n2,b"], ids=["mac", "windows"])
def test_rows_are_read_when_lines_end_as_on_other_systems(tmp_path, content):
    table = read_file_table(str(written(tmp_path, content)), "y")["all"]
    assert table == {"input": [{"x": 1}, {"x": 2}], "label": ["a", "b"]}


@pytest.mark.parametrize("number", ["12", "-12", "+12", "012", "1.5", ".5", "5.", "-1.25e-3", "1E5", " 3", "4\t"])
def test_cell_is_a_number_when_the_recipe_takes_its_column_for_one(tmp_path, number):
    path = written(tmp_path, f"x,y\n{number},1\nNA,2\n")
    rows = read_file_table(str(path), "y", numbers=["x"])["all"]["input"]
    assert rows == [{"x": float(number)}, {"x": None}]


@pytest.mark.parametrize(
    "word", ["1_001", "0x1F", "\u0663\u0664", "inf", "Infinity", "1e", "1,5", "TRUE", "12 kg", "--1"]
)
def test_cell_is_refused_with_its_column_when_it_is_no_number_and_numbers_are_required(tmp_path, word):
    path = written(tmp_path, "x,y\n" + "3,1\n" * 2000 + f'"{word}",2\n')
    said = refusal(path, numbers=["x"])
    assert said.startswith(f"{path} has {word!r} in the column x, and data.source.numbers, which is processor.numbers")
    path = written(tmp_path, f'x,y\n1,"{word}"\n', "targets.csv")
    with pytest.raises(DataError, match="is not a number, and data.target=number requires numbers"):
        prepare(read_file_table(str(path), "y"), target="number")


@pytest.mark.parametrize("ending", [",", ",,,"])
def test_surplus_is_left_out_with_one_warning_when_it_is_empty_in_every_row(tmp_path, caplog, ending):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2000, 3))
    values[:, 2] = values[:, 0] - 2 * values[:, 1] + 0.07 * generator.normal(size=2000)
    lines = "".join(",".join(map(repr, row)) + ending + "\n" for row in values.tolist())
    path = written(tmp_path, "a,b,y\n" + lines)
    with caplog.at_level(logging.WARNING, "maas"):
        table = read_file_table(str(path), "y")["all"]
    assert [record.message for record in caplog.records] == [
        f"data      {path}: rows end in more separators than the header names columns; what is empty there is left out"
    ]
    read = np.array(
        [[row["a"], row["b"], float(label)] for row, label in zip(table["input"], table["label"], strict=True)]
    )
    np.testing.assert_array_equal(read, values)
    factors, *_ = np.linalg.lstsq(read[:, :2], read[:, 2], rcond=None)
    residual = read[:, 2] - read[:, :2] @ factors
    assert 1 - residual.var() / read[:, 2].var() > 0.995


def test_surplus_is_left_out_when_some_rows_or_the_header_have_it(tmp_path):
    path = written(tmp_path, "a,y,\n1,2\n3,4,\n5,6,,\n")
    table = read_file_table(str(path), "y")["all"]
    assert table == {"input": [{"a": 1}, {"a": 3}, {"a": 5}], "label": ["2", "4", "6"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,y\n1,2,3\n\n1,2,3,4\n", "line 4 has 4 cells, and the header names 3 columns."),
        ('a,b,y\n"1\n1",2,3\n1,2\n', "line 4 has 2 cells, and the header names 3 columns."),
        ("a,b,y\n" + "1,2,3\n" * 5000 + "1,2,3,,x\n", "line 5002 has 5 cells, and the header names 3 columns."),
        ("a,b,y,\n1,2,3,4\n", "line 2 has 4 cells, and the header names 3 columns."),
        ('a,b,y\n1,2,3\n1,"2,3\n4,5,6\n', "the row that begins in line 3 has a quote that nothing closes. Close it."),
        ('a,"b,y\n1,2,3\n', "its header has a quote that nothing closes. Close it."),
        ("a,y,a\n1,2,3\n", "it has several columns of the name 'a'. Give each column a name of its own."),
        (",,y\n1,2,3\n", "it has several columns of the name ''. Give each column a name of its own."),
        ("\n\n", "it has no header. Name the columns in its first line."),
    ],
    ids=["long", "short", "late", "nameless", "quote", "quote of the header", "name", "no names", "blank"],
)
def test_line_is_named_when_it_does_not_fit(tmp_path, text, said):
    assert refusal(written(tmp_path, text)).startswith(said)


def test_quotes_and_line_breaks_are_those_of_csv_when_cells_hold_them(tmp_path):
    text = 'a,b,y\r\n"x ""y"" z","1\r\n2\n3",p"q"\r\n"one"two, "three" ,\'four\'\r\n"",\u2028,"\t"\n'
    for name, delimiter, content in (
        ("rows.csv", ",", text),
        ("rows.tsv", "\t", text.replace("\t", " ").replace(",", "\t")),
    ):
        path = written(tmp_path, content, name)
        table = read_file_table(str(path), "y", texts=["a", "b", "y"], missing=["-"])["all"]
        assert [[*row.values(), label] for row, label in zip(table["input"], table["label"], strict=True)] == [
            [*row[:2], row[2] or None] for row in by_csv(path, delimiter)
        ]


def test_cell_is_whole_when_it_is_longer_than_csv_allows_by_itself(tmp_path):
    limit, long = csv.field_size_limit(), "word " * 60_000
    path = written(tmp_path, f'text,label\n"{long}",a\n')
    assert sources.files(str(path))["all"]["input"][0] == long
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("content", ["0012\n345\n", "1\n2\n", "2020\n12.50\n"])
def test_text_stays_text_when_all_of_a_file_is_digits(tmp_path, content):
    path = written(tmp_path, "text,label\n" + "".join(f"{line},{line}\n" for line in content.split()))
    assert sources.files(str(path))["all"]["input"][:] == content.split()
    several = sources.files(str(path), input=["text", "label"], label=None, texts=["text", "label"])["all"]["input"][:]
    assert several == [[line, line] for line in content.split()]
