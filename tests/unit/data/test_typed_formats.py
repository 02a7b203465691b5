"""JSON, Parquet and DataFrames: values come back as they were written, or their column is refused by name."""

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maas.data import columns, sources
from maas.data.splits import prepare
from maas.errors import DataError


def read_file_table(path, target, kept=None, **settings):
    return columns.FileTable(path=path, target=target, columns=kept, **settings).read()


def read_frame_table(loader, target, kept=None, **settings):
    return columns.FrameTable(loader=loader, target=target, columns=kept, **settings).read()


def read_hub_table(place, target, kept=None, **settings):
    return columns.HubTable(id=place, target=target, columns=kept, **settings).read()


EXACT = 2**53


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))


def as_lines(folder: Path, rows: list[dict]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_list(folder: Path, rows: list[dict]) -> Path:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows, indent=1))
    return path


def as_parquet(folder: Path, rows: list[dict]) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS = {"lines": as_lines, "list": as_list, "parquet": as_parquet}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    return lambda rows: str(WRITERS[request.param](tmp_path, rows))


@pytest.fixture
def framed(tmp_path, monkeypatch):
    """Puts a DataFrame into a package, and returns its name."""

    def put(frame: pd.DataFrame) -> str:
        (tmp_path / "framed_package.py").write_text("frame = None\n")
        monkeypatch.syspath_prepend(tmp_path)
        __import__("framed_package").frame = frame
        return "framed_package.frame"

    yield put
    sys.modules.pop("framed_package", None)


def read_whole(read, *arguments, **settings) -> dict[str, list]:
    table = read(*arguments, **settings)["all"]
    return {name: table[name][:] for name in ("input", "label")}


def refusal(read, *arguments, **settings) -> str:
    with pytest.raises(DataError) as caught:
        read_whole(read, *arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "numbers", [(EXACT + 1, EXACT + 2, EXACT + 3), (-EXACT - 1, 7, 2**62 + 1), (1, 2**63 - 1, 2**62)]
)
def test_whole_numbers_are_exact_when_their_column_has_a_gap(write, numbers):
    path = write(
        [{"id": number, "text": "a", "y": number} for number in numbers] + [{"id": None, "text": "b", "y": None}]
    )
    table = read_file_table(path, "y", ["id"])["all"]
    assert [row["id"] for row in table["input"]] == [*numbers, None]
    assert table["label"] == [*map(str, numbers), None]
    assert sources.files(path, label="id")["all"]["label"][:] == [*map(str, numbers), None]


def test_whole_numbers_are_exact_when_a_frame_or_a_large_one_of_json_holds_them(tmp_path, framed):
    frame = pd.DataFrame({"y": pd.Series([EXACT + 1, None, EXACT + 2], dtype=object), "x": [1.5, None, 2]})
    table = read_frame_table(framed(frame), "y")["all"]
    assert table == {"input": [{"x": 1.5}, {"x": None}, {"x": 2}], "label": [str(EXACT + 1), None, str(EXACT + 2)]}
    path = as_lines(tmp_path, [{"y": 10**30 + 1, "x": 1}, {"y": 1.5, "x": 2}, {"y": EXACT + 1, "x": 3}])
    assert read_file_table(str(path), "y")["all"]["label"] == [str(10**30 + 1), "1.5", str(EXACT + 1)]


def test_column_of_json_has_one_type_when_late_values_are_of_others(tmp_path):
    rows = [{"n": 7, "kind": "a", "unused": 1, "wide": 1} for _ in range(3000)]
    rows += [{"n": 4.5, "kind": 3, "unused": ["x"], "wide": EXACT + 1}, {"n": None, "kind": None, "late": True}]
    table = read_file_table(str(as_lines(tmp_path, rows)), "kind", ["n", "late", "wide"])["all"]
    assert table["input"][2999:] == [
        {"n": 7.0, "late": None, "wide": 1},
        {"n": 4.5, "late": None, "wide": EXACT + 1},
        {"n": None, "late": True, "wide": None},
    ]
    assert {type(row["n"]) for row in table["input"]} == {float, type(None)}
    assert table["label"][2999:] == ["a", "3", None]


def test_text_is_kept_when_it_looks_like_a_date_or_holds_half_of_a_pair(tmp_path):
    words = ["2013-01-02", "2013-01-02T03:04:05Z", "\ud800", "1_001", "True", "null "]
    path = as_lines(tmp_path, [{"text": word, "label": word} for word in words])
    table = sources.files(str(path))["all"]
    assert table["input"][:] == table["label"][:] == words


def test_texts_are_made_of_numbers_when_the_recipe_sets_it(write):
    rows = [{"text": 12, "label": "a"}, {"text": 7, "label": "b"}]
    assert sources.files(write(rows), texts=["text"])["all"]["input"][:] == ["12", "7"]
    assert sources.files(write(rows))["all"]["input"][:] == [12, 7]


def test_numbers_are_made_of_texts_when_the_recipe_sets_it(write):
    path = write([{"x": "012", "y": 1}, {"x": "NA", "y": 2}, {"x": "1.5", "y": 3}])
    assert read_file_table(path, "y", numbers=["x"])["all"]["input"] == [{"x": 12}, {"x": None}, {"x": 1.5}]
    path = write([{"x": "12", "y": 1}, {"x": "1_001", "y": 2}])
    assert "has '1_001' in the column x, and data.source.numbers" in refusal(read_file_table, path, "y", numbers=["x"])


@pytest.mark.parametrize("name", [2020, "2020"])
def test_column_is_found_when_its_name_is_a_whole_number(write, name, framed):
    path = write([{"2020": 1.5, "2021": "a"}, {"2020": 2.5, "2021": "b"}])
    expected = {"input": [{"2020": 1.5}, {"2020": 2.5}], "label": ["a", "b"]}
    assert read_file_table(path, 2021, [name])["all"] == read_file_table(path, "2021")["all"] == expected
    assert sources.files(path, input=[name], label=2021)["all"]["input"][:] == [[1.5], [2.5]]
    frame = pd.DataFrame({2020: [1.5, 2.5], 2021: ["a", "b"]})
    assert read_frame_table(framed(frame), 2021, [name])["all"] == expected


@pytest.mark.parametrize("index", ["day", ["day", "hour"]])
def test_index_of_pandas_is_a_column_when_it_has_a_name(tmp_path, framed, index):
    frame = pd.DataFrame({"day": [3, 5, 8], "hour": [1, 2, 3], "x": [1.5, 2.5, 3.5], "y": ["a", "b", "c"]})
    frame.set_index(index).to_parquet(tmp_path / "rows.parquet")
    for read, origin in (
        (read_file_table, str(tmp_path / "rows.parquet")),
        (read_frame_table, framed(frame.set_index(index))),
    ):
        assert read(origin, "y", ["day", "x"])["all"]["input"] == frame[["day", "x"]].to_dict("records")
    assert sources.files(str(tmp_path / "rows.parquet"), input=["x"], label="day")["all"]["label"][:] == ["3", "5", "8"]


def test_index_of_pandas_is_no_column_when_it_has_no_name(tmp_path):
    frame = pd.DataFrame({"x": range(6), "y": list("ababab")})
    frame[frame["x"] > 2].to_parquet(tmp_path / "rows.parquet")
    assert read_file_table(str(tmp_path / "rows.parquet"), "y")["all"]["input"] == [{"x": 3}, {"x": 4}, {"x": 5}]


def test_index_of_pandas_is_counted_when_it_has_a_name_and_is_a_range(tmp_path):
    frame = pd.DataFrame({"y": list("abcab") * 500}, index=pd.RangeIndex(10, 5010, 2, name="id"))
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = read_file_table(str(tmp_path / "rows.parquet"), "y")["all"]["input"]
    assert [row["id"] for row in rows] == list(range(10, 5010, 2))


def test_bytes_are_read_as_utf_8_or_refused_when_parquet_holds_them(tmp_path):
    path = as_parquet(
        tmp_path, [{"text": "a", "label": "größer".encode(), "x": b"pos"}, {"text": "b", "label": b"neg", "x": None}]
    )
    assert sources.files(str(path))["all"]["label"][:] == ["größer", "neg"]
    assert read_file_table(str(path), "label", ["x"])["all"] == {
        "input": [{"x": "pos"}, {"x": None}],
        "label": ["größer", "neg"],
    }
    assert sources.files(str(path), input="x", texts=["x"])["all"]["input"][:] == ["pos", None]
    path = as_parquet(tmp_path, [{"text": "a", "label": b"\xff\xfe"}])
    assert refusal(sources.files, str(path)) == (
        "The column label holds bytes that are no UTF-8, e.g. b'\\xff\\xfe'. Write it as texts, or leave it out of the "
        "columns that are read."
    )


@pytest.mark.parametrize(
    ("value", "what"), [(["a"], "list"), ([["a"], ["b"]], "list"), ({"a": 1}, "dict"), ([], "list")]
)
def test_column_is_refused_by_name_when_it_holds_lists_or_objects(write, value, what):
    path = write([{"text": "a", "label": value, "x": value, "y": 1}, {"text": "b", "label": None, "x": None, "y": 2}])
    if value not in (["a"], []):  # sets of labels
        assert refusal(sources.files, path).startswith(f"The column label holds a {what}")
        assert refusal(read_file_table, path, "label", ["y"]).startswith(f"The column label holds a {what}")
    assert refusal(read_file_table, path, "y", ["x"]).startswith(f"The column x holds a {what}")
    assert refusal(sources.files, path, input="x").startswith(f"The column x holds a {what}") or value == []
    assert read_file_table(path, "y", ["text"])["all"]["input"] == [{"text": "a"}, {"text": "b"}]


def test_lists_of_numbers_are_inputs_when_a_single_column_holds_them(write):
    rows = [{"input": [[1, 2.5], [3, 4]], "label": "a"}, {"input": [[5, 6], [7, 8]], "label": "b"}]
    found = sources.files(write(rows), input="input")["all"]["input"][:]
    np.testing.assert_array_equal(found, [[[1, 2.5], [3, 4]], [[5, 6], [7, 8]]])


def test_columns_are_refused_when_two_have_one_name(tmp_path, framed):
    pq.write_table(
        pa.table([pa.array([1]), pa.array([2]), pa.array(["a"])], names=["b", "b", "y"]), tmp_path / "rows.parquet"
    )
    (tmp_path / "rows.jsonl").write_text('{"b": 1, "y": "a"}\n{"b": 1, "b": 2, "y": "a"}\n')
    for name, kind in (("rows.parquet", "parquet"), ("rows.jsonl", "json")):
        said = f"{tmp_path / name} cannot be read as {kind}: it has several columns of the name 'b'. Give each "
        said += "column a name of its own."
        assert (
            refusal(read_file_table, str(tmp_path / name), "y") == refusal(sources.files, str(tmp_path / name)) == said
        )
    frame = pd.DataFrame([[1, 2, "a"]], columns=[1, "1", "y"])
    assert "several columns of the name '1'" in refusal(read_frame_table, framed(frame), "y")


def test_frame_is_read_when_columns_hold_values_of_several_types_or_strange_ones(framed):
    frame = pd.DataFrame(
        {
            "mixed": ["a", 1, None],
            "strange": [object(), 1, 2],
            "kind": pd.Categorical(list("aba")),
            "y": [True, False, None],
        }
    )
    table = read_frame_table(framed(frame), "y", ["mixed", "kind"])["all"]
    assert table["input"] == [{"mixed": "a", "kind": "a"}, {"mixed": 1, "kind": "b"}, {"mixed": None, "kind": "a"}]
    assert table["label"] == ["True", "False", None]
    assert refusal(read_frame_table, framed(frame), "y", ["strange"]).startswith(
        "The column strange holds a Python object"
    )


def test_label_is_the_number_that_is_stored_when_a_format_has_types(tmp_path):
    rows = [{"text": "a", "label": Decimal("1.10"), "day": dt.date(2013, 1, 2), "half": 0.5, "whole": 2.0}]
    path = str(as_parquet(tmp_path, rows))
    labels = [sources.files(path, label=name)["all"]["label"][0] for name in ("label", "day", "half", "whole")]
    assert labels == ["1.10", "2013-01-02", "0.5", "2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n[1]\n', "line 2 is a list and no object. Write a row as an object by column."),
        ('{"a": 1}\n\n{"a": \n', "line 3 is no JSON: Expecting value: line 2 column 1 (char 7)"),
        ("\n \n", "it holds no rows."),
    ],
)
def test_line_is_named_when_it_is_no_object(tmp_path, text, said):
    (tmp_path / "rows.jsonl").write_text(text)
    path = str(tmp_path / "rows.jsonl")
    assert refusal(read_file_table, path, "y") == f"{path} cannot be read as json: {said}"


def test_nan_of_python_is_missing_when_json_holds_it(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"x": NaN, "y": 1}\n{"x": 2.5, "y": NaN}\n')
    table = read_file_table(str(tmp_path / "rows.jsonl"), "y")["all"]
    assert table == {"input": [{"x": None}, {"x": 2.5}], "label": ["1", None]}


def test_labels_of_a_hub_folder_keep_their_own_text_when_its_files_are_csv(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    labels = ["01", "02"] * 5001 + ["1", "2"] * 5000
    (folder / "train.csv").write_text("text,label,x\n" + "".join(f"row {i},{one},7\n" for i, one in enumerate(labels)))
    (folder / "test.csv").write_text("text,label,x\nlast,01,4.5\n")
    tables = sources.hub(str(folder))
    assert (tables["train"]["label"][:], tables["test"]["label"][:]) == (labels, ["01"])
    tables = read_hub_table(str(folder), "x", texts=["x"])
    assert tables["train"]["input"][0] == {"text": "row 0", "label": "01"}
    assert tables["test"]["label"][:] == ["4.5"]
    assert set(prepare(sources.hub(str(folder)), target="label").labels) == {"01", "02", "1", "2"}


def test_hub_folder_is_read_by_datasets_when_it_declares_the_types_of_its_columns(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "rows.csv").write_text("text,label\na,0\nb,1\n")
    (folder / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n"
        "  - name: label\n    dtype:\n      class_label:\n"
        "        names:\n          '0': bad\n          '1': good\n---\n"
    )
    assert sources.hub(str(folder))["all"]["label"][:] == ["bad", "good"]


def test_column_is_null_when_one_of_a_hub_folders_json_files_lacks_it(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"text": "a", "label": "x", "size": 1}\n')
    (folder / "b.json").write_text('[{"text": "b", "label": "y", "late": [1]}, {"text": "c", "size": 4.5, "label": 3}]')
    table = read_whole(read_hub_table, str(folder), "label", ["text", "size"])
    assert sorted(table["input"], key=lambda row: row["text"]) == [
        {"text": "a", "size": 1},
        {"text": "b", "size": None},
        {"text": "c", "size": 4.5},
    ]
    assert sorted(table["label"]) == ["3", "x", "y"]


def test_hub_folder_is_refused_when_its_files_have_unequal_columns(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\na,x\n")
    (folder / "b.csv").write_text("text,stars\nb,y\n")
    said = refusal(sources.hub, str(folder))
    assert (
        said
        == f"{folder} has files of unequal columns: label, stars is not in all of them. Give them the same columns."
    )
