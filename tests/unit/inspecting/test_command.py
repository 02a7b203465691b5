"""`maas new` over files as strangers have them: no setting, the right task, the right rows; and what is refused."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import maas
import maas.new
from maas.config import RunConfig
from maas.data.frames import arrow_rows_of_frame
from maas.data.splits import Splits
from maas.inspecting import reading
from maas.inspecting.recipe_text import MOST_LINES
from maas.lifecycle.recipe import load_rows
from tests.unit.workbook_files import write_workbook

ROWS = 120
WORDS = ("很好", "一般", "太差")
CLASSES = ("好评", "中评", "差评")


def text_of(header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter, lineterminator="\r\n").writerows([header, *rows])
    return made.getvalue()


def chinese_rows() -> list[list[str]]:
    return [[f"第{place}次在这里买东西，感觉{WORDS[place % 3]}，下次再说", CLASSES[place % 3]] for place in range(ROWS)]


def columns_rows() -> list[list[object]]:
    towns = ("Ulm", "Bonn", "Köln")
    return [[towns[place % 3], 1 + place % 7, 10 + place * 0.5, 100 + place * 37 % 101 + 0.25] for place in range(ROWS)]


class Made:
    """What `maas new` made of a file: the recipe, its rows, and what was said."""

    def __init__(self, recipe: str, said: str) -> None:
        self.text = Path(recipe).read_text(encoding="utf-8")
        self.said = said
        self.config: RunConfig = maas.compose(recipe)
        self.rows: Splits = load_rows(self.config)

    @property
    def count(self) -> int:
        return len(self.rows.train) + len(self.rows.validation) + len(self.rows.test)


@pytest.fixture
def made_of(tmp_path, monkeypatch, capsys) -> Callable[..., Made]:
    monkeypatch.chdir(tmp_path)

    def make(file: str, *settings: str, recipe: str | None = None) -> Made:
        maas.new.main([file, *settings])
        return Made(recipe or f"{file.partition('.')[0]}.yaml", capsys.readouterr().out)

    return make


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("gb18030", "GB18030"), ("utf-8-sig", "UTF-8 with a mark"), ("utf-16", "UTF-16"), ("utf-8", "UTF-8")],
)
def test_chinese_reviews_of_three_classes_are_read_when_excel_wrote_them(made_of, tmp_path, encoding, said):
    (tmp_path / "评论.csv").write_bytes(text_of(["评论", "类别"], chinese_rows()).encode(encoding))
    made = made_of("评论.csv", "target=类别")
    assert made.rows.labels == tuple(sorted(CLASSES))
    assert (made.count, made.config.task, made.config.metric) == (ROWS, "classification", "accuracy")
    assert made.rows.train.inputs[0].startswith("第")
    assert f"{ROWS} rows, 2 columns, {said}, separated by a comma" in made.said
    assert "Han letters" in made.said
    assert len(made.text.splitlines()) <= MOST_LINES


def test_sheet_that_holds_rows_is_read_when_a_workbook_has_several(made_of, tmp_path):
    first = date(2024, 1, 30)
    rows = [[f"{place:05}", first + timedelta(days=place), place * 1.5, "ab"[place % 2]] for place in range(ROWS)]
    sheets = {"说明": [], "数据": [["编号", "日期", "数量", "等级"], *rows], "other": [["x"], [1]]}
    write_workbook(tmp_path / "orders.xlsx", sheets)
    made = made_of("orders.xlsx", "target=等级")
    assert made.count == ROWS
    assert made.rows.train.inputs[0].keys() == {"日期", "数量"}
    assert made.config.processor["dates"] == ["日期"]
    assert "'编号': zeros before numbers make codes, nearly all different" in made.said
    assert "of '说明', '数据', 'other'" in made.said


def test_sheet_is_the_one_that_is_set_when_it_is_named(made_of, tmp_path):
    rows = [[place % 11, place % 5 * 1.5] for place in range(ROWS)]
    write_workbook(tmp_path / "two.xlsx", {"a": [["x", "y"], [1, 2]], "b": [["u", "v"], *rows]})
    assert made_of("two.xlsx", "target=v", "sheet=b", "out=b.yaml", recipe="b.yaml").config.task == "regression"
    assert "sheet: 1" in made_of("two.xlsx", "target=v", "sheet=1", "out=c.yaml", recipe="c.yaml").text


def test_quoted_cells_stay_whole_when_they_hold_separators_and_line_breaks(made_of, tmp_path):
    rows = [[f'said "no, {place}";\nthen left the room, twice', "yes" if place % 2 else "no"] for place in range(ROWS)]
    (tmp_path / "quotes.csv").write_text(text_of(["text", "label"], rows), encoding="utf-8", newline="")
    made = made_of("quotes.csv", "target=label")
    assert made.count == ROWS
    assert all("\nthen left" in text for text in made.rows.test.inputs)


def test_numbers_have_their_fractions_when_semicolons_and_decimal_commas_separate(made_of, tmp_path):
    rows = [
        [town, rooms, *(f"{number:.2f}".replace(".", ",") for number in own)] for town, rooms, *own in columns_rows()
    ]
    (tmp_path / "flats.csv").write_bytes(text_of(["Ort", "Zimmer", "Fläche", "Preis"], rows, ";").encode("cp1252"))
    made = made_of("flats.csv", "target=Preis")
    assert (made.config.task, made.config.metric, made.count) == ("regression", "r2", ROWS)
    assert made.config.processor["numbers"] == ["Zimmer", "Fläche"]
    assert {row["Ort"] for row in made.rows.train.inputs} == {"Ulm", "Bonn", "Köln"}
    expected = {(row[2], row[3]) for row in columns_rows()}
    assert {
        (row["Fläche"], target) for row, target in zip(made.rows.train.inputs, made.rows.train.targets, strict=True)
    } <= expected
    assert "Windows-1252, separated by a semicolon, with decimal commas" in made.said


def test_stars_are_classes_with_the_reason_when_they_are_one_to_five(made_of, tmp_path):
    rows = [[f"the {place}th stay in this hotel was as it was", 1 + place % 5] for place in range(ROWS)]
    (tmp_path / "stars.csv").write_text(text_of(["review", "stars"], rows))
    made = made_of("stars.csv", "target=stars")
    assert made.rows.labels == ("1", "2", "3", "4", "5")
    assert "1 to 5 without a gap are classes" in made.said


def test_columns_beside_a_text_are_read_with_it_when_there_are_both(made_of, tmp_path):
    rows = [[f"a long description of house {place} with a garden", place % 4, "ab"[place % 2]] for place in range(ROWS)]
    (tmp_path / "both.csv").write_text(text_of(["text", "rooms", "kind"], rows))
    made = made_of("both.csv", "target=kind")
    assert made.rows.train.inputs[0].keys() == {"text", "rooms"}
    assert "combined" in made.text


def test_dates_are_a_column_of_their_own_when_they_have_times(made_of, tmp_path):
    rows = [[f"{1 + place % 28:02}.{1 + place % 12:02}.2024 {place % 24:02}:30", place * 0.5] for place in range(ROWS)]
    (tmp_path / "times.csv").write_text(text_of(["sold", "price"], rows))
    made = made_of("times.csv", "target=price")
    assert made.config.processor["dates"] == ["sold"]
    assert made.config.processor["date_order"] == "dmy"
    assert made.count == ROWS


def test_ids_are_left_out_when_they_begin_with_zeros(made_of, tmp_path):
    rows = [[f"{place:06}", place % 9 * 1.5, "ab"[place % 2]] for place in range(ROWS)]
    (tmp_path / "ids.tsv").write_text(text_of(["customer", "spent", "kind"], rows, "\t"))
    made = made_of("ids.tsv", "target=kind")
    assert made.config.processor["numbers"] == ["spent"]
    assert "left out   'customer': zeros before numbers make codes, nearly all different" in made.said


def test_rows_without_a_target_are_left_out_and_counted_when_some_lack_it(made_of, tmp_path):
    rows = [[place * 0.5, place % 7, ("" if place % 10 == 0 else "ab"[place % 2])] for place in range(ROWS)]
    (tmp_path / "gaps.csv").write_text(text_of(["x", "y", "kind"], rows))
    made = made_of("gaps.csv", "target=kind")
    assert made.count == ROWS - 12
    assert made.rows.record.removed == {"empty": 12}
    assert "12 rows without kind are left out" in made.said


def test_equal_rows_count_each_when_columns_have_few_values(made_of, tmp_path):
    rows = [["ab"[place % 2], "xyz"[place % 3], "yes" if place % 5 < 2 else "no"] for place in range(ROWS)]
    (tmp_path / "survey.csv").write_text(text_of(["sex", "class", "survived"], rows))
    made = made_of("survey.csv", "target=survived")
    assert made.count == ROWS
    assert "repeats: keep" in made.text


def test_words_that_stand_for_nothing_are_named_when_all_else_is_a_number(made_of, tmp_path):
    rows = [["N/A" if place % 8 == 0 else place * 0.5, "ab"[place % 2]] for place in range(ROWS)]
    (tmp_path / "words.csv").write_text(text_of(["x", "kind"], rows))
    made = made_of("words.csv", "target=kind")
    assert made.config.processor["numbers"] == ["x"]
    assert sum(row["x"] is None for row in made.rows.train.inputs) > 5
    assert "'N/A' standing for nothing" in made.said


def test_index_is_left_out_when_pandas_wrote_it_beside_rows_that_were_sorted_by_label(made_of, tmp_path):
    frame = pd.DataFrame({"x": np.arange(ROWS) % 7 * 0.5, "kind": np.repeat(["a", "b", "c"], ROWS // 3)})
    frame.sample(frac=0.8, random_state=0).to_csv(tmp_path / "index.csv")
    made = made_of("index.csv", "target=kind")
    assert made.config.data["source"]["columns"] == ["x"]
    assert "left out   '': whole numbers without a name are an index" in made.said


def test_rows_without_a_target_are_left_out_when_a_text_is_all_there_is_and_r_wrote_the_file(made_of, tmp_path):
    rows = [[*row[:1], "NA" if place % 10 == 0 else row[1]] for place, row in enumerate(chinese_rows())]
    (tmp_path / "gaps.csv").write_text(text_of(["text", "label"], rows), encoding="utf-8")
    made = made_of("gaps.csv", "target=label")
    assert made.rows.labels == tuple(sorted(CLASSES))
    assert made.rows.record.removed == {"empty": 12}
    assert "12 rows without label are left out" in made.said


def test_words_and_decimal_commas_are_read_in_a_target_when_a_text_is_all_there_is(made_of, tmp_path):
    marks = ["?" if place % 10 == 0 else f"{place / 4}".replace(".", ",") for place in range(ROWS)]
    rows = [[text, mark] for (text, _), mark in zip(chinese_rows(), marks, strict=True)]
    (tmp_path / "marks.csv").write_text(text_of(["text", "mark"], rows, ";"), encoding="utf-8")
    made = made_of("marks.csv", "target=mark")
    found = np.concatenate([part.targets for part in (made.rows.train, made.rows.validation, made.rows.test)])
    assert sorted(found) == [place / 4 for place in range(ROWS) if place % 10]


def test_columns_are_numbers_when_commas_come_before_fractions_and_words_stand_for_nothing(made_of, tmp_path):
    rows = [["-" if place % 10 == 0 else f"{place},5", place % 7, "ab"[place % 2]] for place in range(ROWS)]
    (tmp_path / "dashes.csv").write_text(text_of(["x", "y", "kind"], rows, ";"))
    made = made_of("dashes.csv", "target=kind")
    assert "with decimal commas, '-' standing for nothing" in made.said
    parts = (made.rows.train, made.rows.validation, made.rows.test)
    found = [row["x"] for part in parts for row in part.inputs]
    assert sorted(value for value in found if value is not None) == [place + 0.5 for place in range(ROWS) if place % 10]
    assert found.count(None) == ROWS // 10


def test_any_word_is_a_text_when_each_row_has_a_target(made_of, tmp_path):
    rows = [["none" if place == 7 else text, label] for place, (text, label) in enumerate(chinese_rows())]
    (tmp_path / "words.csv").write_text(text_of(["text", "label"], rows), encoding="utf-8")
    assert made_of("words.csv", "target=label").count == ROWS


def test_rare_class_counts_when_nearly_all_rows_are_of_another(made_of, tmp_path):
    rows = [[place * 0.5, "rare" if place % 20 == 0 else "usual"] for place in range(ROWS)]
    (tmp_path / "rare.csv").write_text(text_of(["x", "kind"], rows))
    made = made_of("rare.csv", "target=kind")
    assert made.config.metric == "balanced_accuracy"
    assert "class_weight: balanced" in made.text
    assert "95.0% of the rows are usual" in made.said


def test_pictures_are_read_at_their_size_when_a_folder_holds_them_by_label(made_of, tmp_path):
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(0, 255, (12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{number}.png")
    made = made_of("pets")
    assert (made.config.processor["height"], made.config.processor["width"]) == (12, 10)
    assert made.count == 60
    assert "60 pictures, 2 labels" in made.said


REFUSED = {
    "no column": ("a,b\n1,2\n3,4\n", ["target=c"], "data.csv has no column c. Its columns are a, b."),
    "near column": (
        "price,b\n1,2\n3,4\n",
        ["target=prise"],
        "data.csv has no column prise. Did you mean target=price?",
    ),
    "no target": (
        "a,b\n1,2\n",
        [],
        "Which column of data.csv is to be learnt? Set target=COLUMN; its columns are a, b.",
    ),
    "empty": ("", ["target=a"], "data.csv is empty. Name a file that holds rows."),
    "no rows": ("a,b\n", ["target=a"], "data.csv names 2 columns and holds no rows. Name a file that holds rows."),
    "one class": (
        "a,b\n1,x\n2,x\n",
        ["target=b"],
        "The column b holds x in each of 2 rows; there is nothing to learn. Name another target.",
    ),
    "unique": (
        "a,b\n1,x\n1,y\n2,z\n",
        ["target=b"],
        "The column b holds 3 different values in 3 rows, e.g. x; a class needs several rows. Name another target.",
    ),
    "only target": (
        "b\nx\ny\nx\ny\n",
        ["target=b"],
        "data.csv has nothing to learn b from (the target is its only column). Add columns to it.",
    ),
    "no text": (
        "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        ["target=a"],
        (
            "data.csv holds bytes of 0, which no text in UTF-8, GB18030 or Windows-1252 does. Name its encoding, e.g. "
            "encoding=utf-16-le, or name another file."
        ),
    ),
    "no encoding": (
        "a,b\n",
        ["target=a", "encoding=gb"],
        "encoding is 'gb', which is none. Set e.g. encoding=gb18030.",
    ),
    "no key": (
        "a,b\n",
        ["target=a", "optimizer=adam"],
        (
            "optimizer=adam does not apply to maas new; it takes target, out, name, encoding, separator, "
            "decimal, sheet. Set it in the recipe, or when that is run."
        ),
    ),
    "no recipe": ("a,b\n1,x\n", ["target=b", "out=b.txt"], None),
}


@pytest.mark.parametrize(("content", "settings", "message"), REFUSED.values(), ids=REFUSED)
def test_data_is_refused_in_one_line_when_nothing_can_be_learnt(
    tmp_path, monkeypatch, capsys, content, settings, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(SystemExit) as ended:
        maas.new.main(["data.csv", *settings])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert message is None or said == f"{message}\n"
    assert not list(tmp_path.glob("*.yaml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dada.csv", "target=a"], "There is no file or folder dada.csv; did you mean data.csv?\n"),
        (
            ["nowhere", "target=a"],
            "There is no file or folder nowhere. Name a file, a folder, or OWNER/NAME at the hub.\n",
        ),
        (["data.csv", "a", "b"], "data.csv, a, b: new takes one file, folder or OWNER/NAME at the hub, e.g. "),
        (["data.csv", "b"], "b is no file. To learn that column, write maas new data.csv target=b\n"),
        (["mine.yaml"], "mine.yaml is a recipe. Run it: maas run recipe=mine.yaml\n"),
    ],
)
def test_source_is_refused_in_one_line_when_it_is_none(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit):
        maas.new.main(words)
    assert capsys.readouterr().err.startswith(message)


def test_recipe_is_left_as_it_is_when_somebody_changed_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n" + "".join(f"{place},{'xy'[place % 2]}\n" for place in range(0, 90, 3)))
    maas.new.main(["data.csv", "target=b"])
    maas.new.main(["data.csv", "target=b"])  # the same again
    recipe = tmp_path / "data.yaml"
    recipe.write_text(recipe.read_text() + "seed: 3\n")
    with pytest.raises(SystemExit):
        maas.new.main(["data.csv", "target=b"])
    assert "data.yaml is there and holds something else." in capsys.readouterr().err
    assert recipe.read_text().endswith("seed: 3\n")


def test_data_set_of_the_hub_is_named_by_its_id_when_it_has_splits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"x": np.arange(60) * 0.5, "kind": ["a", "b"] * 30})
    parts = {"train": [arrow_rows_of_frame(rows, "x")], "test": [arrow_rows_of_frame(rows + rows, "y")]}
    monkeypatch.setattr(reading, "loaded", lambda name: parts if name == "owner/rows" else {})
    maas.new.main(["owner/rows", "target=kind"])
    config = maas.compose("rows.yaml")
    assert "override /data: hub_columns" in Path("rows.yaml").read_text()
    assert config.data["source"]["id"] == "owner/rows"
    assert "owner/rows: 120 rows, 2 columns" in capsys.readouterr().out
