"""Rows as they lie on disk: every format, plain and compressed, and what is said when something is wrong."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Picture
from sklearn.datasets import load_diabetes, load_digits

from maas.data import sources
from maas.errors import DataError

ROWS = [("好", "positive"), ('bad, "very" bad', "negative"), ("so-so", "neutral")]
FRAME = pd.DataFrame(ROWS, columns=["text", "label"])
WRITERS = {
    "csv": lambda path: FRAME.to_csv(path, index=False),
    "tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "json": lambda path: FRAME.to_json(path, orient="records", force_ascii=False),
    "jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True, force_ascii=False),
    "parquet": lambda path: FRAME.to_parquet(path, index=False),
}


def lists(table) -> dict[str, list[object]]:
    return {name: table[name][:] for name in ("input", "label")}


def read(*arguments, **settings) -> list[tuple[object, str]]:
    (table,) = sources.files(*arguments, **settings).values()
    return list(zip(table["input"][:], table["label"][:], strict=True))


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_are_read_when_the_file_is_plain(tmp_path, kind):
    path = tmp_path / f"rows.v1.{kind}"
    WRITERS[kind](path)
    assert read(str(path)) == ROWS


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl"])
def test_rows_are_read_when_the_file_is_compressed(tmp_path, kind):
    plain, packed = tmp_path / f"rows.{kind}", tmp_path / f"rows.{kind}.gz"
    WRITERS[kind](plain)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(str(packed)) == ROWS


def test_rows_are_the_new_ones_when_the_file_was_rewritten(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,x\n")
    assert read(str(path)) == [("a", "x")]
    path.write_text("text,label\nb,y\nc,z\n")
    assert read(str(path)) == [("b", "y"), ("c", "z")]


def test_second_file_is_the_test_split_when_it_is_given(tmp_path):
    WRITERS["csv"](tmp_path / "train.csv")
    WRITERS["jsonl"](tmp_path / "test.jsonl")
    tables = sources.files(str(tmp_path / "train.csv"), test_path=str(tmp_path / "test.jsonl"))
    assert {split: len(table["input"]) for split, table in tables.items()} == {"train": 3, "test": 3}


def test_columns_are_joined_when_several_are_the_input(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("height,weight,kind\n1.5,2,0\n3,4,1\n")
    assert read(str(path), input=["weight", "height"], label="kind") == [([2.0, 1.5], "0"), ([4.0, 3.0], "1")]


def test_missing_columns_are_named_with_those_there_are_when_the_file_lacks_them(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("review,stars\na,1\n")
    with pytest.raises(DataError) as caught:
        sources.files(str(path))
    assert str(caught.value) == (
        f"{path} has no column text, label; its columns are review, stars. Set data.source.input and data.source.label."
    )


def test_file_with_missing_columns_is_the_one_named_when_it_is_the_test_file(tmp_path):
    WRITERS["csv"](tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"test\.csv has no column text, label"):
        sources.files(str(tmp_path / "train.csv"), test_path=str(tmp_path / "test.csv"))


def test_known_formats_are_listed_when_the_ending_is_unknown(tmp_path):
    path = tmp_path / "rows.docx"
    path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"rows\.docx is of no known format; known are: \.csv, \.tsv, \.json, \.jsonl, "
    ):
        sources.files(str(path))


@pytest.mark.parametrize("name", ["rows.json", "rows.parquet", "rows.csv"])
def test_broken_file_is_one_line_when_its_parser_gives_up(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name.endswith("csv") else b'{"text": "a"')
    with pytest.raises(DataError) as caught:
        sources.files(str(path))
    assert str(caught.value).startswith(f"{path} cannot be read as {name.partition('.')[2]}: ")
    assert "\n" not in str(caught.value)


def test_labels_keep_their_names_when_one_of_them_is_missing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,0\nb,\nc,1\n")
    assert read(str(path)) == [("a", "0"), ("b", None), ("c", "1")]


@pytest.mark.parametrize("word", ["None", "null", "NA", "nan"])
def test_word_stays_a_word_when_a_table_reader_would_take_it_for_nothing(tmp_path, word):
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\na,{word}\n{word},x\n")
    assert read(str(path)) == [("a", word), (word, "x")]


def test_text_stays_text_when_every_row_is_a_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": "x"}) + "\n" for text in ("007", "12")))
    assert read(str(path)) == [("007", "x"), ("12", "x")]


def lines(folder: Path) -> dict[str, str]:
    (folder / "good.txt").write_text("好\n很好\n", encoding="utf-8")
    (folder / "bad.txt").write_text("差\n", encoding="utf-8")
    return {"good": str(folder / "good.txt"), "bad": str(folder / "bad.txt")}


def test_lines_carry_the_label_of_their_file_when_files_are_labelled(tmp_path):
    table = sources.labelled_lines(lines(tmp_path))["all"]
    assert table["input"][:] == ["好", "很好", "差"]
    assert table["label"][:] == ["good", "good", "bad"]


def test_lines_come_from_a_package_when_one_is_named(tmp_path, monkeypatch):
    (tmp_path / "rows_package").mkdir()
    (tmp_path / "rows_package/__init__.py").write_text("")
    (tmp_path / "rows_package/a.txt").write_text("x\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert sources.labelled_lines({"a": "a.txt"}, package="rows_package")["all"]["input"][:] == ["x"]
    with pytest.raises(DataError, match=r"^There is no file b\.txt in the package rows_package\.$"):
        sources.labelled_lines({"a": "b.txt"}, package="rows_package")


def test_package_is_named_with_its_remedy_when_it_is_not_installed():
    with pytest.raises(DataError) as caught:
        sources.labelled_lines({"a": "a.txt"}, package="absent_package")
    assert str(caught.value) == (
        "The package absent_package holds this data and is not installed. Run: pip install absent_package"
    )


def test_file_is_named_when_it_does_not_exist():
    with pytest.raises(DataError, match=r"^There is no file absent\.txt\.$"):
        sources.labelled_lines({"a": "absent.txt"})


def test_line_is_one_row_when_it_holds_a_sign_that_unicode_calls_a_line_break(tmp_path):
    (tmp_path / "a.txt").write_text("one\u2028still one\ntwo\x0cstill two\n", encoding="utf-8")
    assert len(sources.labelled_lines({"a": str(tmp_path / "a.txt")})["all"]["input"]) == 2


def test_digits_have_their_labels_and_pixels_when_they_come_from_scikit_learn():
    table, bunch = sources.scikit_learn("sklearn.datasets.load_digits")["all"], load_digits()
    assert len(table["input"]) == 1797
    assert table["label"][:] == [str(target) for target in bunch.target]
    assert table["input"][17] == bunch.data[17].tolist()


def test_splits_are_those_of_the_folder_when_it_is_a_local_data_set(tmp_path):
    for split in ("train", "test"):
        WRITERS["jsonl"](tmp_path / f"{split}.jsonl")
    found = {split: len(table["input"]) for split, table in sources.hub(str(tmp_path)).items()}
    assert found == {"train": 3, "test": 3}


def test_rows_are_not_split_yet_when_a_local_data_set_has_training_rows_alone(tmp_path):
    WRITERS["jsonl"](tmp_path / "rows.jsonl")
    assert sources.hub(str(tmp_path))["all"]["label"][:] == [label for _, label in ROWS]


def test_class_labels_are_named_when_the_data_set_numbers_them(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    rows = {"text": ["a", "b", "c", "d"], "label": [1, 0, None, -1]}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "rows.parquet")
    assert lists(sources.hub(str(tmp_path))["all"]) == {
        "input": ["a", "b", "c", "d"],
        "label": ["yes", "no", None, None],
    }


def png(folder: Path, value: int) -> Path:
    path = folder / f"{value}.png"
    Picture.fromarray(np.full((3, 4), value, dtype=np.uint8)).save(path)
    return path


def test_images_stay_as_they_were_encoded_when_the_data_set_holds_them(tmp_path):
    files = [png(tmp_path, value) for value in (7, 200)]
    features = Features({"image": Image(), "label": ClassLabel(names=["dark", "bright"])})
    packed = {"image": [{"bytes": file.read_bytes(), "path": None} for file in files] + [None], "label": [0, 1, 1]}
    (tmp_path / "set").mkdir()
    Dataset.from_dict(packed, features=features).to_parquet(tmp_path / "set/rows.parquet")
    table = sources.hub(str(tmp_path / "set"), input="image")["all"]
    assert lists(table) == {
        "input": [*(file.read_bytes() for file in files), None],
        "label": ["dark", "bright", "bright"],
    }


def test_images_are_their_files_when_the_data_set_is_a_folder_of_them(tmp_path):
    for name, value in (("dark", 7), ("bright", 200)):
        (tmp_path / name).mkdir()
        png(tmp_path / name, value)
    table = sources.hub(str(tmp_path), input="image")["all"]
    assert lists(table) == {
        "input": [tmp_path / "bright/200.png", tmp_path / "dark/7.png"],
        "label": ["bright", "dark"],
    }


def test_sounds_stay_as_they_were_encoded_when_the_data_set_holds_them(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16), 8000)
    content = (tmp_path / "a.wav").read_bytes()
    features = Features({"audio": Audio(), "word": Value("string")})
    packed = {"audio": [{"bytes": content, "path": "a.wav"}], "word": ["yes"]}
    (tmp_path / "set").mkdir()
    Dataset.from_dict(packed).cast(features).to_parquet(tmp_path / "set/rows.parquet")
    table = sources.hub(str(tmp_path / "set"), input="audio", label="word")["all"]
    assert lists(table) == {"input": [content], "label": ["yes"]}


def test_rows_carry_no_labels_when_no_column_is_named(tmp_path):
    WRITERS["csv"](tmp_path / "rows.csv")
    assert read(str(tmp_path / "rows.csv"), label=None) == [(text, None) for text, _ in ROWS]


def test_row_holds_numbers_and_text_when_its_columns_do(tmp_path):
    (tmp_path / "rows.csv").write_text("carrier,distance,late\nUA,1400,11.5\n,,2\n")
    rows = read(str(tmp_path / "rows.csv"), input=["distance", "carrier"], label="late")
    assert rows == [([1400.0, "UA"], "11.5"), ([None, None], "2")]


def test_targets_are_numbers_when_scikit_learn_ships_a_regression():
    table, bunch = sources.scikit_learn("sklearn.datasets.load_diabetes")["all"], load_diabetes()
    assert [float(label) for label in table["label"]] == bunch.target.tolist()
    assert table["input"][3] == bunch.data[3].tolist()


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (
            "sklearn.datasets.load_linnerud",
            "sklearn.datasets.load_linnerud has 3 targets a row; exactly one is needed.",
        ),
        (
            "absent_package.rows",
            "The package absent_package holds this data and is not installed. Run: pip install absent_package",
        ),
        (
            "sklearn.base.load_absent",
            "sklearn.base.load_absent cannot be loaded: module 'sklearn.base' has no attribute 'load_absent'",
        ),
    ],
)
def test_loader_is_refused_when_it_has_not_one_target_or_does_not_exist(loader, message):
    with pytest.raises(DataError) as caught:
        sources.scikit_learn(loader)
    assert str(caught.value) == message


def test_parser_is_quoted_when_a_local_data_set_is_broken(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a"')
    with pytest.raises(DataError) as caught:
        sources.hub(str(tmp_path))
    assert str(caught.value).startswith(f"The data set {tmp_path} cannot be loaded: ")
    assert "JSON" in str(caught.value)


def test_data_set_is_named_when_it_cannot_be_loaded(tmp_path):
    with pytest.raises(DataError) as caught:
        sources.hub(str(tmp_path / "absent"))
    assert str(caught.value).startswith(f"The data set {tmp_path / 'absent'} cannot be loaded: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "what", "shown"),
    [
        ([[0.5, 1.0], [1.5, None]], "a list with an element that is null", r"\[\[0\.5, 1\.0\], \[1\.5, None\]\]"),
        ([None, 2.0], "a list with an element that is null", r"\[None, 2\.0\]"),
        ([], "an empty list", r"\[\]"),
        ([[0.5, 1.0], []], "an empty list", r"\[\[0\.5, 1\.0\], \[\]\]"),
    ],
)
def test_gap_in_a_list_is_named_with_its_row_when_lists_are_inputs(tmp_path, value, what, shown):
    path, whole = tmp_path / "rows.jsonl", [[0.25, 1.0], [0.75, 2.0]]
    path.write_text("".join(json.dumps({"series": row, "label": "x"}) + "\n" for row in (whole, None, value, [])))
    with pytest.raises(
        DataError,
        match=rf"rows\.jsonl holds {what} in row 3 of the column series: {shown}; an input that is a list holds "
        r"numbers, one at least\. Fill the gap, or leave the row out\.$",
    ):
        list(sources.files(str(path), input="series")["all"]["input"])


def test_lists_beside_other_values_are_refused_as_before_when_none_has_a_gap(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"series": row, "label": "x"}) + "\n" for row in ([1.0], ["a"])))
    with pytest.raises(DataError, match=r"The column series holds a list; an input is a text, a number"):
        list(sources.files(str(path), input="series")["all"]["input"])
