"""Rows of mixed columns: types kept, gaps told, columns chosen and derived."""

import datetime as dt
import gzip
import json
import sys
from decimal import Decimal
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from maas.config import compose
from maas.data import columns
from maas.data.splits import prepare
from maas.errors import DataError


def read_file_table(path, target, kept=None, **settings):
    return columns.FileTable(path=path, target=target, columns=kept, **settings).read()


def read_package_table(package, path, target, kept=None, **settings):
    return columns.PackageTable(package=package, path=path, target=target, columns=kept, **settings).read()


def read_frame_table(loader, target, kept=None, **settings):
    return columns.FrameTable(loader=loader, target=target, columns=kept, **settings).read()


def read_hub_table(place, target, kept=None, **settings):
    return columns.HubTable(id=place, target=target, columns=kept, **settings).read()


ROWS = [
    {"carrier": "UA", "stops": 1, "miles": 1400.5, "direct": True, "late": 11},
    {"carrier": None, "stops": None, "miles": None, "direct": None, "late": -3},
    {"carrier": "B6", "stops": 3, "miles": 7.25, "direct": False, "late": None},
]
FRAME = pd.DataFrame(ROWS).convert_dtypes()
WRITERS = {
    "csv": lambda path: FRAME.to_csv(path, index=False),
    "tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "json": lambda path: path.write_text(json.dumps(ROWS)),
    "jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "parquet": lambda path: FRAME.to_parquet(path, index=False),
}
INPUTS = [{name: value for name, value in row.items() if name != "late"} for row in ROWS]
TEXTS = {True: "True", False: "False", None: None}
SEPARATED = [{**row, "direct": TEXTS[row["direct"]]} for row in INPUTS]  # a text file knows no truth values


def kinds(rows: list[dict]) -> list[list[type]]:
    return [[type(value) for value in row.values()] for row in rows]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_rows_are_those_that_were_written_when_a_file_is_read(tmp_path, kind, packed):
    path = tmp_path / f"rows.{kind}"
    WRITERS[kind](path)
    if packed and kind != "parquet":  # which packs itself
        path = tmp_path / f"packed.{kind}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"rows.{kind}").read_bytes()))
    table, expected = read_file_table(str(path), "late")["all"], SEPARATED if kind in ("csv", "tsv") else INPUTS
    assert table == {"input": expected, "label": ["11", "-3", None]}
    assert kinds(table["input"]) == kinds(expected)


def test_objects_are_read_line_by_line_when_the_ending_is_that_of_a_list(tmp_path):
    WRITERS["jsonl"](tmp_path / "rows.json")
    assert read_file_table(str(tmp_path / "rows.json"), "late")["all"]["input"] == INPUTS


def test_columns_stand_in_their_order_when_they_are_chosen(tmp_path):
    WRITERS["csv"](tmp_path / "rows.csv")
    table = read_file_table(str(tmp_path / "rows.csv"), "late", ["miles", "carrier"])["all"]
    assert [list(row.items()) for row in table["input"]] == [
        [("miles", row["miles"]), ("carrier", row["carrier"])] for row in ROWS
    ]


def test_second_file_is_the_test_split_when_it_is_given(tmp_path):
    WRITERS["json"](tmp_path / "train.json")
    WRITERS["parquet"](tmp_path / "test.parquet")
    tables = read_file_table(str(tmp_path / "train.json"), "late", test_path=str(tmp_path / "test.parquet"))
    assert tables["train"] == tables["test"]


def test_gap_is_what_the_recipe_sets_when_a_csv_file_has_its_own_sign(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("country,size,y\nNA,?,1\nnull,2,2\n,3,3\n")
    assert read_file_table(str(path), "y")["all"]["input"][0] == {"country": None, "size": "?"}
    rows = read_file_table(str(path), "y", missing=["?", ""])["all"]["input"]
    assert rows == [{"country": "NA", "size": None}, {"country": "null", "size": 2}, {"country": None, "size": 3}]


def test_code_stays_text_unless_its_column_is_named_as_one_of_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,year,y\n00501,2020,1\n10001,2021,2\n")
    read = partial(read_file_table, str(path), "y", ["zip", "year"])
    assert read()["all"]["input"] == [{"zip": "00501", "year": 2020}, {"zip": "10001", "year": 2021}]
    assert read(texts=["year"])["all"]["input"] == [{"zip": "00501", "year": "2020"}, {"zip": "10001", "year": "2021"}]
    assert read(numbers=["zip"])["all"]["input"] == [{"zip": 501, "year": 2020}, {"zip": 10001, "year": 2021}]


def test_column_has_one_type_when_its_last_row_is_unlike_the_others(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,z,y\n" + "1,1,1\n" * 300_000 + "1.5,a,1\n")
    rows = read_file_table(str(path), "y")["all"]["input"]
    assert (rows[0], rows[-1]) == ({"x": 1.0, "z": "1"}, {"x": 1.5, "z": "a"})
    assert {type(value) for row in rows for value in row.values()} == {float, str}


def test_dates_and_decimals_become_text_and_numbers_when_a_parquet_file_holds_them(tmp_path):
    frame = pd.DataFrame(
        {
            "day": [dt.date(2013, 1, 2)],
            "time": [pd.Timestamp("2013-01-02T03:04:05")],
            "price": [Decimal("1.25")],
            "kind": pd.Categorical(["a"]),
            "y": [1.5],
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    table = read_file_table(str(tmp_path / "rows.parquet"), "y")["all"]
    assert table["input"] == [{"day": "2013-01-02", "time": "2013-01-02T03:04:05", "price": 1.25, "kind": "a"}]
    assert table["label"] == ["1.5"]


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    rows = [f"{'TRUE' if index % 2 else 'FALSE'},{index % 3}.{index % 2}0,0{index},{index % 7}" for index in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["flag,size,code,y", *rows]) + "\n")
    parts = ["data=columns", f"data.source.path={tmp_path / 'rows.csv'}", "data.source.target=y", "baseline=null"]
    return [*parts, "processor.numbers=[code]", "processor.categories=[flag,size]"]


def test_columns_are_read_as_the_processor_takes_them_when_a_recipe_joins_both(recipe):
    config = compose("flights", *recipe)
    source = config.data["source"]
    assert (source["numbers"], source["categories"]) == (["code"], ["flag", "size"])
    splits = config.data.build()
    inputs = [*splits.train.inputs, *splits.validation.inputs, *splits.test.inputs]
    assert sorted(row["code"] for row in inputs) == list(range(200))
    assert {(row["flag"], row["size"]) for row in inputs} == {
        ("TRUE" if index % 2 else "FALSE", f"{index % 3}.{index % 2}0") for index in range(6)
    }
    processor = config.processor.build().fit(splits.train.inputs)
    true, also, false = processor.arrays([{"flag": value, "size": "1.10"} for value in ("TRUE", True, False)])
    assert true.tolist()[1:] == also.tolist()[1:] != false.tolist()[1:]
    assert 0 not in false.tolist()


def test_recipe_names_texts_when_they_look_like_numbers(recipe):
    splits = compose("flights", *recipe, "processor.numbers=[]", "data.source.texts=[code]").data.build()
    assert {type(row["code"]) for row in splits.train.inputs} == {str}
    files = ["data.source.path=" + recipe[1].partition("=")[2], "data.source.input=code", "data.source.label=flag"]
    splits = compose("sentiment_zh", "data=files", *files, "baseline=null").data.build()
    assert splits.labels == ("FALSE", "TRUE")
    assert {type(row) for row in splits.train.inputs} == {str}


def test_columns_are_found_when_a_recipe_names_them_by_whole_numbers(recipe, tmp_path):
    (tmp_path / "rows.csv").write_text(
        "2019,2020,y\n" + "".join(f"{index},a{index % 3},{index}\n" for index in range(99))
    )
    names = ["processor.numbers=[2019]", "processor.categories=[2020]", "data.source.columns=[2019,2020]"]
    config = compose("flights", *recipe, *names)
    splits = config.data.build()
    processor = config.processor.build().fit(splits.train.inputs)
    assert (processor.numbers, processor.categories) == (("2019",), ("2020",))
    assert set(splits.test.inputs[0]) == {"2019", "2020"}


def message(*arguments, **settings) -> str:
    with pytest.raises(DataError) as caught:
        read_file_table(*arguments, **settings)
    return str(caught.value)


def test_column_is_named_when_it_holds_lists(tmp_path):
    pd.DataFrame({"x": [[1, 2]], "y": [1]}).to_parquet(tmp_path / "rows.parquet")
    assert message(str(tmp_path / "rows.parquet"), "y") == (
        "The column x holds a list; a row's columns are numbers, texts and truth values. "
        "Leave it out of data.source.columns."
    )


def test_missing_columns_are_named_with_those_there_are_when_a_file_lacks_them(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    assert message(str(path), "late", ["a", "c"]) == (
        f"{path} has no column c, late; its columns are a, b. Set data.source.target and data.source.columns."
    )


def test_target_is_refused_when_a_row_would_hold_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    assert message(str(path), "b", ["a", "b"]) == (
        "data.source.columns names b, which is the target; a row must not hold it."
    )


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.jsonl", "rows.parquet", "rows.csv.gz"])
def test_broken_file_is_one_line_when_its_parser_gives_up(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name == "rows.csv" else b'{"x": "a"')
    said = message(str(path), "y")
    assert said.startswith(f"{path} cannot be read as {name.split('.')[1].removesuffix('l')}: ")
    assert "\n" not in said


@pytest.mark.parametrize("ending", ["gz", "zip", "xz", "bz2", "zst"])
def test_broken_archive_is_one_line_when_it_cannot_be_unpacked(tmp_path, ending):
    path = tmp_path / f"rows.csv.{ending}"
    pd.DataFrame({"x": range(5000), "y": range(5000)}).to_csv(path, index=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * 40
    path.write_bytes(content)
    said = message(str(path), "y")
    assert said.startswith(f"{path} cannot be read as csv: ")
    assert "\n" not in said


def test_known_formats_are_listed_when_the_ending_is_unknown(tmp_path):
    (tmp_path / "rows.docx").write_bytes(b"")
    assert message(str(tmp_path / "rows.docx"), "y").startswith(
        f"{tmp_path / 'rows.docx'} is of no known format; known "
    )


def test_day_of_the_week_is_a_column_when_it_is_derived(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("year,month,day,y\n2013,1,1,0\n2024,2,29,0\n")
    table = read_file_table(str(path), "y", ["weekday"], derived={"weekday": columns.weekday()})["all"]
    expected = [dt.date(2013, 1, 1).strftime("%a"), dt.date(2024, 2, 29).strftime("%a")]
    assert [row["weekday"] for row in table["input"]] == expected


def test_part_is_named_when_it_derives_from_a_column_that_is_not_there(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("year,month,y\n2013,1,0\n")
    assert message(str(path), "y", derived={"weekday": columns.weekday()}) == (
        f"{path} has no column day; its columns are year, month, y. data.source.derived.weekday needs it."
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "shop_package/data").mkdir(parents=True)
    (tmp_path / "shop_package/__init__.py").write_text(
        "import pandas\nnumber = 3\nframe = pandas.DataFrame({'a': [1, None], 'y': ['p', 'q']})\n"
        "def make(): return frame\n"
    )
    FRAME.to_csv(tmp_path / "shop_package/data/rows.csv.zip", index=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield "shop_package"
    sys.modules.pop("shop_package", None)


def test_rows_come_from_a_package_when_it_ships_a_file(package):
    assert read_package_table(package, "data/rows.csv.zip", "late")["all"]["input"] == SEPARATED
    assert package not in sys.modules
    with pytest.raises(DataError, match=r"^There is no file data/a\.csv in the package shop_package\.$"):
        read_package_table(package, "data/a.csv", "late")


@pytest.mark.parametrize("name", ["frame", "make"])
def test_rows_come_from_a_package_when_it_ships_a_frame(package, name):
    table = read_frame_table(f"{package}.{name}", "y")["all"]
    assert table == {"input": [{"a": 1}, {"a": None}], "label": ["p", "q"]}


def test_loader_is_refused_when_it_gives_no_frame(package):
    with pytest.raises(DataError) as caught:
        read_frame_table(f"{package}.number", "y")
    assert str(caught.value) == "shop_package.number gives a int; it must be or return a pandas DataFrame."


def test_rows_are_dictionaries_when_they_come_from_a_data_set(tmp_path):
    features = Features({"size": Value("int64"), "kind": ClassLabel(names=["no", "yes"]), "y": Value("float64")})
    rows = {"size": [1, None], "kind": [1, 0], "y": [0.5, 2.0]}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "rows.parquet")
    table = read_hub_table(str(tmp_path), "y")["all"]
    assert table["input"][:] == [{"size": 1, "kind": "yes"}, {"size": None, "kind": "no"}]
    assert table["label"][:] == ["0.5", "2"]
    table = read_hub_table(str(tmp_path), "kind", ["y"])["all"]
    assert table["input"][:] == [{"y": 0.5}, {"y": 2.0}]
    assert table["label"][:] == ["yes", "no"]


def test_rows_without_a_target_are_left_out_when_numbers_are_learnt(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{index},{'' if index % 5 == 0 else index / 2}\n" for index in range(100)))
    splits = prepare(read_file_table(str(path), "y"), 0.1, 0.1, target="number")
    assert splits.record.removed == {"empty": 20}
    every = [*splits.train.inputs, *splits.validation.inputs, *splits.test.inputs]
    assert sorted(row["x"] for row in every) == [index for index in range(100) if index % 5]
    assert [row["x"] / 2 for row in splits.test.inputs] == splits.test.targets.tolist()


def test_numbers_have_their_fractions_when_commas_come_before_them(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("Größe;Code;y\n1,5;1,2,3;0,5\n-2;4;7\n".encode("cp1252"))
    source = columns.FileTable(target="y", path=str(path), encoding="cp1252", separator=";", decimal=",")
    table = source.read()["all"]
    assert table["input"] == [{"Größe": 1.5, "Code": "1,2,3"}, {"Größe": -2.0, "Code": "4"}]
    assert table["label"] == ["0.5", "7"]


def test_cell_is_named_when_it_is_no_number_with_a_comma(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x;y\n1,5;a\n1.5;b\n")
    source = columns.FileTable(target="y", path=str(path), separator=";", decimal=",", numbers=["x"])
    with pytest.raises(DataError, match=r"rows\.csv has '1\.5' in the column x, and data\.source\.numbers"):
        source.read()
