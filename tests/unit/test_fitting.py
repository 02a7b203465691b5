"""What a program holds becomes a recipe of its own, which finds the same rows again."""

import tracemalloc

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from maas.data.labelled_values import labelled_table
from maas.errors import ConfigError, DataError
from maas.fitting import config_for
from maas.lifecycle.recipe import load_rows

ROWS = 120
RANDOM = np.random.default_rng(0)
AGES = RANDOM.integers(18, 80, ROWS)
CITIES = RANDOM.choice(["北京", "上海", "Wien"], ROWS)
BOUGHT = np.where((AGES > 40) ^ (CITIES == "Wien"), "yes", "no")
FRAME = pd.DataFrame({"age": AGES, "city": CITIES, "bought": BOUGHT})


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows_of(config):
    found = load_rows(config)
    every = [found.train, found.validation, found.test]
    return [row for part in every for row in part.inputs], [target for part in every for target in part.targets]


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        pa.Table.from_pandas(FRAME, preserve_index=False),
        datasets.Dataset.from_pandas(FRAME, preserve_index=False),
        FRAME.astype({"city": "category", "bought": "category"}),
    ],
    ids=["pandas", "pyarrow", "datasets", "categories"],
)
def test_columns_of_a_table_become_rows(data):
    config = config_for(data, "bought", registry=None)
    inputs, _ = rows_of(config)
    assert config.name == "bought"
    assert {tuple(row.values()) for row in inputs} == set(zip(AGES.tolist(), CITIES.tolist(), strict=True))
    assert load_rows(config).labels == ("no", "yes")


def test_the_same_frame_has_the_same_recipe_and_other_rows_another():
    first, again, other = (config_for(one, "bought") for one in (FRAME, FRAME.copy(), FRAME[:100]))
    assert first.data == again.data
    assert first.data["source"]["path"] != other.data["source"]["path"]


def test_array_and_targets_become_columns():
    values = RANDOM.normal(size=(ROWS, 3))
    config = config_for(values, values[:, 0] * 2 + values[:, 1], name="doubled", registry=None)
    inputs, targets = rows_of(config)
    assert (config.name, config.task) == ("doubled", "regression")
    np.testing.assert_allclose(sorted(row["x0"] * 2 + row["x1"] for row in inputs), sorted(targets))


def test_texts_and_labels_become_rows():
    texts = [f"a {word} film, number {place}, which I saw" for place in range(60) for word in ("good", "bad")]
    config = config_for(texts, ["+", "-"] * 60)
    assert (config.name, config.data["source"]["input"], load_rows(config).labels) == ("target", "text", ("+", "-"))
    assert set(rows_of(config)[0]) == set(texts)


@pytest.mark.parametrize("make", [list, lambda values: np.array(values, dtype=object), pd.Series])
def test_gaps_among_texts_and_labels_are_no_words(make):
    texts = [float("nan") if place == 3 else f"a film, number {place}, which I saw" for place in range(60)]
    config = config_for(make(texts), make(["+", "-", *["+", "-"] * 28, "+", float("nan")]))
    found = load_rows(config)
    assert (found.labels, found.record.removed) == (("+", "-"), {"empty": 2})
    assert set(rows_of(config)[0]) == {text for text in texts[:-1] if isinstance(text, str)}


def test_memory_is_that_of_the_texts_when_one_of_them_is_long():
    texts = ["a short text"] * 2000 + ["long " * 20_000]
    tracemalloc.start()
    try:
        labelled_table(texts, [1] * len(texts))
        assert tracemalloc.get_traced_memory()[1] < 10 * sum(map(len, texts))
    finally:
        tracemalloc.stop()


def test_recipe_is_read_when_a_column_has_a_line_break_in_its_name():
    frame = FRAME.rename(columns={"bought": "bought\n(yes or no)"})
    config = config_for(frame, "bought\n(yes or no)", registry=None)
    assert config.data["source"]["target"] == "bought\n(yes or no)"
    assert load_rows(config).labels == ("no", "yes")


def test_settings_are_those_of_the_recipe():
    config = config_for(FRAME, "bought", "batch_size=7", runs_dir="mine", registry=None)
    assert (config.batch_size, config.registry, config.data["source"]["path"][:17]) == (7, None, "mine/bought/data/")


WRONG = {
    "pictures": (
        (np.zeros((9, 8, 8, 3)), [0] * 9),
        (
            "maas.fit was given an array (9, 8, 8, 3) of float64; it takes a file or folder, a frame, a data set of "
            "datasets, an array (N, D) of numbers, or a list of N texts. Write pictures into a folder for each label."
        ),
    ),
    "no targets": ((np.zeros((9, 2)), None), "target is None; 9 rows without columns need as many values."),
    "few targets": (
        (np.zeros((9, 2)), [1, 2]),
        "target holds 2 values; the data has 9 rows. Give one for each.",
    ),
    "values for a frame": (
        (FRAME, FRAME["bought"]),
        (
            "target is a Series; data that has columns needs the name of one. Write e.g. target='price', after "
            "frame['price'] = …"
        ),
    ),
    "an index that is a column too": (
        (FRAME.set_index("age", drop=False), "bought"),
        ("the frame cannot be read: it has several columns of the name 'age'. Give each column a name of its own."),
    ),
    "a number": (
        (7, "x"),
        (
            "maas.fit was given a int; it takes a file or folder, a frame, a data set of datasets, an array (N, D) of "
            "numbers, or a list of N texts. Write pictures into a folder for each label."
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_wrong_data_is_refused_in_one_line(case):
    arguments, message = WRONG[case]
    with pytest.raises(DataError) as refused:
        config_for(*arguments)
    assert str(refused.value) == message


def test_wrong_column_and_setting_are_refused():
    with pytest.raises(DataError, match="^The data has no column 'bougt'. Did you mean target='bought'\\?$"):
        config_for(FRAME, "bougt")
    with pytest.raises(ConfigError, match="batchsize"):
        config_for(FRAME, "bought", batchsize=3)
