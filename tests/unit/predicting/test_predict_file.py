"""Files of rows become files of predictions: those of the bundle, in every format, whatever a row holds."""

import csv
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from maas.errors import ConfigError, DataError, InputError
from maas.predicting import part_predictors, table_writers
from maas.runtime.bundle import Bundle
from tests.unit.workbook_files import write_workbook

ROWS = [{"id": f"{at:04}", "price": at / 4, "area": at % 7, "size": "SML"[at % 3]} for at in range(50)]
COLUMNS = {"price": [row["price"] for row in ROWS], "area": [float(row["area"]) for row in ROWS]}


def model_rows(rows):
    return [{name: row[name] for name in ("price", "area", "size")} for row in rows]


def write(path, rows=ROWS):
    """Writes rows as the path's name says."""
    ending = path.suffixes[-1] if path.suffixes[-1] != ".gz" else path.suffixes[-2]
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if ending in (".csv", ".tsv"):
        delimiter = "," if ending == ".csv" else "\t"
        lines = [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
        text = "".join(f"{delimiter.join('' if cell is None else str(cell) for cell in line)}\n" for line in lines)
    else:
        text = json.dumps(rows) if ending == ".json" else "".join(f"{json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path):
    """Reads rows as the path's name says; cells of CSV stay texts."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t"))


@pytest.mark.parametrize("out", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.json", "in.jsonl", "in.parquet", "in.csv.gz"])
def test_predictions_are_the_bundles_when_formats_meet(table_model, predict, tmp_path, source, out):
    found = predict(table_model, write(tmp_path / source), tmp_path / out)
    rows = read(tmp_path / out)
    assert [float(row["predicted_value"]) for row in rows] == [
        one["value"] for one in table_model.predict(model_rows(ROWS))
    ]
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["size"] for row in rows] == [row["size"] for row in ROWS]
    assert [float(row["price"]) for row in rows] == COLUMNS["price"]
    assert (found.rows, found.errors, found.report) == (50, 0, None)
    assert {path.name for path in tmp_path.iterdir()} == {source, out}


def test_cells_are_as_they_were_when_separated_values_stay_such(table_model, predict, tmp_path):
    (tmp_path / "in.csv").write_text('id,price,area,size\n"0,1"," 1.50",007,S\r\n2,,NA,"M""\n"\n')
    predict(table_model, tmp_path / "in.csv", tmp_path / "out.csv")
    rows = list(csv.reader((tmp_path / "out.csv").open(newline="")))
    assert rows == [
        ["id", "price", "area", "size", "predicted_value"],
        ["0,1", " 1.50", "007", "S", "9.5"],
        ["2", "", "NA", 'M"\n', "0.0"],
    ]


@pytest.mark.parametrize("part", [8, 24])
def test_bytes_are_the_same_when_a_file_is_cut_into_other_blocks(table_model, predict, tmp_path, monkeypatch, part):
    write(tmp_path / "in.csv")
    written = []
    for size in (40, 10_000):
        monkeypatch.setattr("maas.predicting.separated_rows.BYTES_AT_A_TIME", size)
        monkeypatch.setattr(part_predictors, "COLUMN_ROWS", part)
        monkeypatch.setattr(table_writers, "ROWS_PER_GROUP", 16)
        out = tmp_path / f"{size}.parquet"
        predict(table_model, tmp_path / "in.csv", out)
        written.append(out.read_bytes())
    assert written[0] == written[1]
    assert pq.ParquetFile(out).metadata.num_row_groups == (4 if part == 8 else 3)


def test_columns_are_chosen_when_some_are_named(table_model, predict, tmp_path):
    write(tmp_path / "in.csv")
    for name, words, columns in [
        ("none.csv", ["columns=none", "prefix="], ["value"]),
        ("two.csv", ["columns=size,id"], ["size", "id", "predicted_value"]),
        ("two.parquet", ["columns=size,id"], ["size", "id", "predicted_value"]),
        ("two.jsonl", ["columns=size,id"], ["size", "id", "predicted_value"]),
    ]:
        predict(table_model, tmp_path / "in.csv", tmp_path / name, *words)
        assert list(read(tmp_path / name)[0]) == columns


def test_objects_keep_what_they_hold_when_lines_become_lines(table_model, predict, tmp_path):
    rows = [{"price": 1, "area": 2, "size": "S", "note": {"a": [1, None]}, "big": 12345678901234567}, {"size": "M"}]
    write(tmp_path / "in.jsonl", rows)
    predict(table_model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl") == [
        {**rows[0], "predicted_value": 4.0}, {**rows[1], "predicted_value": 2.0}
    ]  # fmt: skip


BAD = [
    {"price": 1, "area": 2, "size": "S"},
    {"price": "cheap", "area": 2, "size": "S"},
    {"price": 3, "area": 1e300, "size": "M"},
    {"price": 4, "area": 5, "size": "M"},
]
REASONS = {
    2: "The column price holds 'cheap', and the model takes a number there. Correct it, or leave it empty for a "
    "missing number.",
    3: "The row has 1e+300 in the column area; a number must be finite, and at most 3.4e+38 in size.",
}


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.jsonl"])
def test_row_is_reported_and_others_are_predicted_when_it_cannot_be(
    table_model, predict, reasons, tmp_path, source, out
):
    found = predict(table_model, write(tmp_path / source, BAD), tmp_path / out)
    values = [row["predicted_value"] for row in read(tmp_path / out)]
    assert [None if value in ("", None) else float(value) for value in values] == [4.0, None, None, 11.0]
    assert (found.rows, found.errors, found.report) == (4, 2, f"{tmp_path / out}.errors.jsonl")
    assert reasons(tmp_path / out) == REASONS


def test_row_is_reported_when_the_file_itself_is_wrong_there(table_model, predict, reasons, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"price": 1, "area": 1, "size": "S"}\n{"price": 1\n[1]\n{"area": [1]}\n')
    predict(table_model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    found = reasons(tmp_path / "out.jsonl")
    assert found.pop(2).startswith("The line is no JSON: Expecting ',' delimiter")
    assert found == {
        3: "The line is a list and no object. Write a row as an object by column.",
        4: "The column area holds a list, and the model takes a number there. Correct it, or leave it empty for a "
        "missing number.",
    }
    (tmp_path / "in.csv").write_text("price,area,size\n1,1,S\n1,1\n2,2,S\n")
    predict(table_model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert reasons(tmp_path / "out.csv") == {2: "The row has 2 cells, and the header names 3 columns."}
    assert [row["predicted_value"] for row in read(tmp_path / "out.csv")] == ["3.0", "", "5.0"]


def test_output_that_is_not_finite_is_its_rows_own_when_others_are(serving_bundles, predict, reasons, tmp_path):
    bundle = Bundle.open(serving_bundles.combined_bundle(tmp_path / "reviews", fills=False))
    rows = [{"review": "a film", "price": 1.0, "size": "S"}, {"review": "bad", "price": None, "size": "M"}]
    write(tmp_path / "in.jsonl", [*rows, rows[0]])
    predict(bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    (expected,) = bundle.predict(rows[:1])
    found = [(row["predicted_label"], row["predicted_score"]) for row in read(tmp_path / "out.jsonl")]
    assert found == [(expected["label"], expected["score"]), (None, None), (expected["label"], expected["score"])]
    assert reasons(tmp_path / "out.jsonl")[2].startswith("The model's probabilities for the row is not a finite number")


def test_first_fault_ends_the_run_and_it_is_resumed_when_errors_stop(table_model, predict, tmp_path):
    write(tmp_path / "in.csv", BAD)
    with pytest.raises(InputError) as caught:
        predict(table_model, tmp_path / "in.csv", tmp_path / "out.csv", "errors=stop")
    assert str(caught.value) == f"{tmp_path / 'in.csv'}, row 2: {REASONS[2]} Set errors=report to go past such rows."
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv.unfinished"}
    predict(table_model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv", "out.csv.errors.jsonl"}


@pytest.mark.parametrize(("source", "other"), [("in.tsv", "decimal=,"), ("in.tsv", "encoding=cp1252"),
                                                ("in.xlsx", "sheet=right"), ("in.tsv", "separator=tab")])  # fmt: skip
def test_kept_predictions_are_refused_when_the_same_file_is_read_otherwise(
    table_model, predict, tmp_path, source, other
):
    rows = [["price", "area", "size"], ["x", 2, "S"]]
    if source == "in.xlsx":
        write_workbook(tmp_path / source, {"wrong": rows, "right": [*rows[:1], [1, 2, "S"]]})
    else:
        lines = ["\t".join(map(str, row)) for row in rows]
        (tmp_path / source).write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r", row 1: The column price holds 'x"):
        predict(table_model, tmp_path / source, tmp_path / "out.csv", "errors=stop")
    with pytest.raises(ConfigError, match=r"was begun with another model, other rows or other settings\. Remove it"):
        predict(table_model, tmp_path / source, tmp_path / "out.csv", other)


def test_moments_of_nanoseconds_and_halves_of_letters_are_written_when_rows_have_them(table_model, predict, tmp_path):
    columns = {
        "at": pa.array([1_577_840_523_123_456_789, None], pa.timestamp("ns")),
        "took": pa.array([1_000_000_001, None], pa.duration("ns")),
        "all": pa.array([[1], None], pa.list_(pa.timestamp("ns"))),
    }
    table = pa.table({"price": [1.0, 2.0], "area": [2.0, 3.0], "size": ["S", "S"], **columns})
    pq.write_table(table, tmp_path / "in.parquet")
    predict(table_model, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    first, second = read(tmp_path / "out.jsonl")
    assert (first["at"], second["at"], second["took"]) == ("2020-01-01T01:02:03.123456789", None, None)
    assert (first["took"], first["all"]) == ("P0DT0H0M1.000000001S", ["1970-01-01T00:00:00.000000001"])
    predict(table_model, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert read(tmp_path / "out.csv")[0]["all"] == '["1970-01-01T00:00:00.000000001"]'
    write(tmp_path / "in.jsonl", [{"price": 1, "area": 2, "size": "S", "note": "cut \ud83d", "big": 2**70}])
    predict(table_model, tmp_path / "in.jsonl", tmp_path / "halves.jsonl")
    assert read(tmp_path / "halves.jsonl")[0] == {
        "price": 1, "area": 2, "size": "S", "note": "cut \ud83d", "big": 2**70, "predicted_value": 4.0
    }  # fmt: skip


def test_long_cells_and_points_that_stand_for_nothing_are_read_when_commas_come_before_fractions(
    table_model, predict, reasons, tmp_path
):
    (tmp_path / "in.tsv").write_text(f"note\tprice\tarea\tsize\n{'long ' * 50_000}\t1,5\t2\tS\n\t.\t2\tS\n")
    predict(table_model, tmp_path / "in.tsv", tmp_path / "out.csv", "columns=none")
    assert read(tmp_path / "out.csv") == [{"predicted_value": "4.5"}, {"predicted_value": ""}]
    assert list(reasons(tmp_path / "out.csv")) == [2]


def test_labels_have_columns_when_more_of_them_are_wanted(text_model, predict, tmp_path):
    texts = ["a very good film", "bad", "质量太差了"]
    (tmp_path / "in.txt").write_text("\n".join(texts), encoding="utf-8")
    words = ["top_k=2", "probabilities=true"]
    predict(text_model, tmp_path / "in.txt", tmp_path / "out.parquet", *words)
    scores = text_model.predictor.scores(texts)
    expected = text_model.predict(texts)
    for row, text, one, two in zip(read(tmp_path / "out.parquet"), texts, expected, scores.tolist(), strict=True):
        assert row == {
            "text": text,
            "predicted_label": one["label"],
            "predicted_score": one["score"],
            "predicted_label_2": "negative" if one["label"] == "positive" else "positive",
            "predicted_score_2": min(two),
            "predicted_probability_negative": two[0],
            "predicted_probability_positive": two[1],
        }


def test_lines_are_labels_alone_when_lines_are_written(text_model, predict, reasons, tmp_path):
    (tmp_path / "in.txt").write_text("a very good film\n\nbad\n")
    predict(text_model, tmp_path / "in.txt", tmp_path / "out.txt")
    labels = [one["label"] for one in text_model.predict(["a very good film", "bad"])]
    assert (tmp_path / "out.txt").read_text().splitlines() == [labels[0], "", labels[1]]
    assert list(reasons(tmp_path / "out.txt")) == [2]


def test_vectors_are_lists_when_a_model_embeds(serving_bundles, predict, tmp_path):
    bundle = Bundle.open(serving_bundles.embedding_bundle(tmp_path / "vectors"))
    texts = ["a very good film", "bad"]
    (tmp_path / "in.csv").write_text("note,review\n" + "".join(f"1,{text}\n" for text in texts))
    expected = [one["embedding"] for one in bundle.predict(texts)]
    for name in ("out.parquet", "out.jsonl", "out.csv"):
        predict(bundle, tmp_path / "in.csv", tmp_path / name, "input=review")
        found = [row["predicted_embedding"] for row in read(tmp_path / name)]
        assert [json.loads(one) if isinstance(one, str) else one for one in found] == expected


def test_numbers_of_several_columns_are_a_row_when_a_model_takes_a_list(serving_bundles, predict, tmp_path):
    bundle = Bundle.open(serving_bundles.value_bundle(tmp_path / "price"))
    (tmp_path / "in.csv").write_text("a,b,c,d\n1,2,3,4\n5,6,7,x\n")
    predict(bundle, tmp_path / "in.csv", tmp_path / "out.csv", "input=a,b,c,d")
    assert [row["predicted_value"] for row in read(tmp_path / "out.csv")] == [
        str(bundle.predict([[1, 2, 3, 4]])[0]["value"]), ""
    ]  # fmt: skip


def test_files_are_predicted_by_their_names_when_a_folder_is_given(serving_bundles, predict, reasons, tmp_path):
    pictures, sounds = (Bundle.open(serving_bundles.image_bundle(tmp_path / "p")), tmp_path / "pictures")
    (sounds / "a").mkdir(parents=True)
    for name, value in (("b.png", 255), ("a/c.png", 0)):
        Image.fromarray(np.full((4, 4), value, np.uint8)).save(sounds / name)
    (sounds / "broken.png").write_bytes(b"no picture")
    (sounds / "notes.txt").write_text("left out")
    predict(pictures, sounds, tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    assert [(row["file"], row["predicted_label"]) for row in rows] == [
        ("b.png", "bright"), ("broken.png", ""), ("a/c.png", "dark")
    ]  # fmt: skip
    line = json.loads((tmp_path / "out.csv.errors.jsonl").read_text())
    assert (line["row"], line["file"]) == (2, "broken.png")


def test_sounds_are_predicted_when_a_folder_holds_them(serving_bundles, predict, tmp_path):
    bundle = Bundle.open(serving_bundles.audio_bundle(tmp_path / "model"))
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds/a.wav", np.full(1000, 0.5), 1000)
    predict(bundle, tmp_path / "sounds", tmp_path / "out.jsonl")
    (expected,) = bundle.predict([tmp_path / "sounds/a.wav"])
    assert read(tmp_path / "out.jsonl") == [
        {"file": "a.wav", "predicted_label": expected["label"], "predicted_score": expected["score"]}
    ]


def test_texts_are_written_when_a_model_generates(serving_bundles, predict, reasons, tmp_path):
    bundle = Bundle.open(serving_bundles.generating_bundle(tmp_path / "tiny"))
    rows = [{"prompt": "the"}, {"prompt": None}, {"prompt": "a prompt"}, {"prompt": "the " * 200}]
    write(tmp_path / "in.jsonl", rows)
    predict(bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl", "max_tokens=5")
    found = read(tmp_path / "out.jsonl")
    texts = bundle.generate_many(["the", "a prompt"], max_tokens=5)
    assert [row["predicted_text"] for row in found] == [texts[0].text, None, texts[1].text, None]
    assert found[0]["predicted_tokens"] == len(texts[0].tokens)
    assert reasons(tmp_path / "out.jsonl")[2] == "The row has no prompt."


def test_no_row_is_no_error_when_a_table_is_empty(table_model, predict, tmp_path):
    (tmp_path / "in.csv").write_text("price,area,size\n")
    for name in ("out.csv", "out.parquet", "out.jsonl"):
        assert predict(table_model, tmp_path / "in.csv", tmp_path / name).rows == 0
        assert (tmp_path / name).exists()
    assert pq.read_schema(tmp_path / "out.parquet").names == ["price", "area", "size", "predicted_value"]


REFUSED = [
    ("price,size\n1,S\n", "out.csv", [], "{source} has no column area, which the model takes. Known are: price, size."),
    ("price,are,size\n1,1,S\n", "out.csv", [], "{source} has no column area, which the model takes. Did you mean are?"),
    ("price,area,size,predicted_value\n", "out.csv", [], "{source} has a column predicted_value already."),
    ("price,area,size\n", "out.csv", ["columns=prise"], "columns names prise; {source} has no such column. Did you"),
    ("price,area,size\n", "out.csv", ["top_k=2"], "top_k is of models that choose among labels; this one gives value."),
    ("price,area,size\n", "out.csv", ["probabilities=true"], "probabilities is of models that choose among labels;"),
    ("price,area,size\n", "out.csv", ["input=price"], "input is of models of one input; this one takes columns by"),
    ("price,area,size\n", "out.csv", ["max_tokens=5"], "max_tokens is of models that generate; {model} predicts."),
    ("price,area,size\n", "out.xls", [], "{out} is of no known format; written are .csv, .tsv, .jsonl, .parquet, .txt"),
    ("price,area,size\n", "in.csv", [], "{source} is there already. Name another file, remove it, or set replace=true"),
    ("price,area,size\n", "in.csv", ["replace=true"], "{source} is what is read. Name another file."),
    ("price,area,size\n", "a/out.csv", [], "There is no folder {folder}/a. Make it, or name another file."),
]


@pytest.mark.parametrize(("content", "out", "words", "message"), REFUSED)
def test_command_is_refused_in_a_line_when_it_cannot_be_done(
    table_model, predict, tmp_path, content, out, words, message
):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(ConfigError) as caught:
        predict(table_model, tmp_path / "in.csv", tmp_path / out, *words)
    names = {"source": tmp_path / "in.csv", "out": tmp_path / out, "folder": tmp_path, "model": table_model.folder}
    assert str(caught.value).startswith(message.format(**names))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_input_is_named_or_found_when_a_model_reads_one(text_model, predict, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,good\n")
    with pytest.raises(ConfigError, match=r"has the columns a, b. Set input=COLUMN to what the model reads\.$"):
        predict(text_model, tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(ConfigError, match=r"input names c; .*in\.csv has no such column. Known are: a, b\.$"):
        predict(text_model, tmp_path / "in.csv", tmp_path / "out.csv", "input=c")
    (tmp_path / "in.xyz").write_text("good\n")
    with pytest.raises(DataError, match=r"in\.xyz is of no known format; known are: \.csv, \.tsv, "):
        predict(text_model, tmp_path / "in.xyz", tmp_path / "out.csv")
    with pytest.raises(DataError, match=r" is a folder, and the model reads no pictures or sounds\."):
        predict(text_model, tmp_path, tmp_path / "out.csv")
    with pytest.raises(ConfigError, match=r"top_k is 3; the model has 2 labels\. Set top_k to at most that\.$"):
        predict(text_model, tmp_path / "in.csv", tmp_path / "out.csv", "input=b", "top_k=3")


def test_packed_file_is_refused_when_it_is_cut_off(table_model, predict, tmp_path):
    path = write(tmp_path / "in.csv.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"in\.csv\.gz cannot be unpacked: .*\. Copy it here again\.$"):
        predict(table_model, path, tmp_path / "out.csv")


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("价格,area,size\n", "gb18030"),
        ("price;area;size\n1,5;2;S\n0,25;;M\n", "utf-8-sig"),
        ("price;area;size\n1.5;2;S\n0.25;;M\n", "cp1252"),
        ("price|area|size|名称\n1.5|2|S|茶\n0.25||M|米\n", "gb18030"),
        ("price\tarea\tsize\tname\n1.5\t2\tS\té\n0.25\t\tM\tü\n", "utf-16"),
    ],
)
def test_file_is_read_as_it_shows_when_it_is_no_plain_csv(table_model, predict, tmp_path, content, encoding, out):
    (tmp_path / "in.csv").write_bytes(content.encode(encoding))
    if content.startswith("价格"):
        with pytest.raises(
            ConfigError, match=r"has no column price, which the model takes\. Known are: 价格, area, size\."
        ):
            predict(table_model, tmp_path / "in.csv", tmp_path / out)
        return
    predict(table_model, tmp_path / "in.csv", tmp_path / out)
    rows = read(tmp_path / out)
    expected = table_model.predict([{"price": 1.5, "area": 2.0, "size": "S"}, {"price": 0.25, "size": "M"}])
    assert [float(row["predicted_value"]) for row in rows] == [one["value"] for one in expected]
    if out == "out.csv":
        assert [row["price"] for row in rows] == [line.split(content[5])[0] for line in content.splitlines()[1:]]


def test_settings_of_a_file_are_taken_when_they_are_set(table_model, predict, reasons, tmp_path):
    (tmp_path / "in.csv").write_bytes("price;area;size\n1,5;2;S\n".encode("utf-16-le"))
    words = ["encoding=utf-16-le", "separator=semicolon", "decimal=,"]
    predict(table_model, tmp_path / "in.csv", tmp_path / "out.jsonl", *words)
    assert read(tmp_path / "out.jsonl")[0]["predicted_value"] == 4.5
    with pytest.raises(DataError, match=r"holds bytes of 0, which no text in UTF-8"):
        predict(table_model, tmp_path / "in.csv", tmp_path / "other.jsonl")
    (tmp_path / "point.csv").write_text("price;area;size\n1,5;2;S\n")
    predict(table_model, tmp_path / "point.csv", tmp_path / "point.jsonl", "decimal=.")
    assert list(reasons(tmp_path / "point.jsonl")) == [1]


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.parquet"])
def test_rows_of_a_sheet_are_predicted_when_a_workbook_is_given(table_model, predict, reasons, tmp_path, out):
    rows = [["price", "area", "size"], [1.5, 2, "S"], ["cheap", 1, "M"], [0.25, None, "M"]]
    write_workbook(tmp_path / "in.xlsx", {"empty": [], "rows": rows})
    predict(table_model, tmp_path / "in.xlsx", tmp_path / out)
    values = [row["predicted_value"] for row in read(tmp_path / out)]
    assert [None if value in ("", None) else float(value) for value in values] == [4.5, None, 2.25]
    assert list(reasons(tmp_path / out)) == [2]


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_rows_of_the_other_decimal_mark_are_faults_when_they_come_after_those_that_decide(
    table_model, predict, reasons, tmp_path, out
):
    commas = [f"{place % 9},5;20;S" for place in range(1500)]
    rows = ["price;area;size", *commas, "2.5;3;M", "1.250;3;M", "7;3;M", "NA;3;M"]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    found = predict(table_model, tmp_path / "in.csv", tmp_path / out, "columns=none")
    assert (found.rows, found.errors) == (1504, 2)
    remedy = "Write a comma before its fraction, and nothing between its thousands."
    assert reasons(tmp_path / out) == {
        number: f"The column price holds '{text}', and commas come before fractions in this file. {remedy}"
        for number, text in ((1501, "2.5"), (1502, "1.250"))
    }


def test_rows_with_commas_are_faults_when_whole_numbers_decide(table_model, predict, reasons, tmp_path):
    rows = ["price;area;size", *["1;20;S"] * 1500, "2,5;3;M"]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    predict(table_model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert list(reasons(tmp_path / "out.csv")) == [1501]
    assert predict(table_model, tmp_path / "in.csv", tmp_path / "comma.csv", "decimal=,").errors == 0
