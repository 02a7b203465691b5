"""Rows of mixed columns: what is learnt against numpy, what is missing, unknown or wrong, and every message."""

import json
import math
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

from maas.errors import ConfigError, InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.tabular import TabularProcessor

NUMBERS, CATEGORIES = ["delay", "distance"], ["carrier", "month", "night"]
ROWS = [
    {"delay": 4, "distance": 1400.5, "carrier": "UA", "month": 1, "night": True},
    {"delay": -2.5, "distance": None, "carrier": "AA", "month": 1.0, "night": False},
    {"delay": 31, "distance": 200, "carrier": "UA", "month": "12"},
    {"delay": math.nan, "distance": 760, "carrier": "", "month": 3, "night": None},
]


@pytest.fixture
def processor() -> TabularProcessor:
    return TabularProcessor(NUMBERS, CATEGORIES).fit(ROWS)


def encoded(processor: TabularProcessor, row: object) -> list[float]:
    (found,) = processor.arrays([row])
    assert found.dtype == np.float64
    return found.tolist()


def test_numbers_and_positions_are_returned_when_rows_are_encoded(processor):
    found = np.stack(processor.arrays(ROWS))
    expected = [[4, 1400.5, 1, 1, 2], [-2.5, math.nan, 2, 1, 1], [31, 200, 1, 2, 0], [math.nan, 760, 0, 3, 0]]
    np.testing.assert_array_equal(found, expected)


def test_means_and_deviations_are_those_of_the_values_that_are_there_when_fitted(processor):
    delays, distances = np.array([4, -2.5, 31]), np.array([1400.5, 200, 760])
    facts = processor.net_arguments
    assert facts["number_means"] == pytest.approx([delays.mean(), distances.mean()], rel=1e-15)
    assert facts["number_deviations"] == pytest.approx([delays.std(), distances.std()], rel=1e-15)
    assert facts["category_sizes"] == [3, 4, 3]
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(
    ("values", "mean", "deviation"), [([0.1] * 7, 0.1, 1), ([None, ""], 0, 1), ([5], 5, 1), ([0, 1e-60], 5e-61, 1)]
)
def test_deviation_is_one_when_a_column_has_one_value_or_none(values, mean, deviation):
    facts = TabularProcessor(["x"]).fit([[value] for value in values]).net_arguments
    assert facts["number_means"] == pytest.approx([mean])
    assert facts["number_deviations"] == [deviation]


EPOCHS = [1.7e9 + 97 * number for number in range(50)] + [None]
LARGE = [1e39 * number for number in range(3)]


@pytest.mark.parametrize(
    "values", [EPOCHS, LARGE, [0, 1e-60, 3e-60], [5, 5, None]], ids=["epochs", "1e39", "1e-60", "5"]
)
def test_numbers_are_standardised_in_float64_when_asked_for(values):
    fitted = TabularProcessor(["x"], standardize=True).fit([[value] for value in values])
    numbers = fitted.batch(fitted.preprocess([[value] for value in values]))["numbers"][:, 0]
    present = np.array([value for value in values if value is not None])
    expected = (present - present.mean()) / (present.std() or 1.0)
    np.testing.assert_allclose(numbers[~np.isnan(numbers)], expected, rtol=1e-6, atol=1e-6)
    assert np.isnan(numbers).sum() == values.count(None)
    assert fitted.net_arguments["number_means"] == [0.0]
    assert fitted.net_arguments["number_deviations"] == [1.0]
    assert fitted.deviations == {"x": pytest.approx(present.std() or 1.0, rel=1e-12)}


def test_numbers_are_standardised_alike_when_the_processor_was_saved_and_loaded(tmp_path):
    fitted = TabularProcessor(["x"], standardize=True).fit([[value] for value in EPOCHS])
    fitted.save(tmp_path)
    again = load_processor(json.loads(json.dumps(fitted.record())), tmp_path)
    np.testing.assert_array_equal(again.arrays([[1.7e9]]), fitted.arrays([[1.7e9]]))


def test_numbers_come_as_they_are_when_a_record_is_older(processor, tmp_path):
    processor.save(tmp_path)
    record = {name: value for name, value in processor.record().items() if name != "standardize"}
    assert encoded(load_processor(record, tmp_path), ROWS[0])[:2] == [4, 1400.5]


def test_number_is_refused_when_float32_cannot_count_its_deviations():
    fitted = TabularProcessor(["x", "y"], standardize=True).fit([[0, 1], [2, 1]])
    with pytest.raises(InputError) as caught:
        fitted.arrays([[1, 1], [1e39, 1]])
    assert str(caught.value) == (
        "Row 1 has 1e+39 in the column x, which lies further from the mean 1 of its training rows than float32 can "
        "count in deviations of 1."
    )
    with pytest.raises(InputError, match="Row 0 has inf in the column x; a number must be finite, and at most 1.8e"):
        fitted.arrays([[math.inf, 1]])


def test_most_frequent_categories_are_kept_when_there_are_more_than_allowed():
    rows = [[word] for word, count in {"b": 3, "a": 3, "c": 5, "d": 1, "e": 2}.items() for _ in range(count)]
    fitted = TabularProcessor(categories=["word"], max_categories=3).fit(rows)
    assert fitted.net_arguments["category_sizes"] == [4]
    assert [encoded(fitted, [word])[0] for word in "cabde"] == [1, 2, 3, 0, 0]


def test_fit_leaves_the_unfitted_processor_alone_when_it_returns_a_fitted_one():
    blank = TabularProcessor(NUMBERS, CATEGORIES)
    fitted = blank.fit(ROWS)
    assert blank.net_arguments["category_sizes"] == [1, 1, 1]
    assert fitted.net_arguments["category_sizes"] == [3, 4, 3]
    assert encoded(blank, ROWS[0]) == [4, 1400.5, 0, 0, 0]


@pytest.mark.parametrize(
    "row",
    [
        [4, 1400.5, "UA", 1, True],
        (4, 1400.5, "UA", 1, True),
        np.array([4, 1400.5, "UA", 1, True], dtype=object),
        {"night": True, "month": 1, "carrier": "UA", "distance": 1400.5, "delay": 4},
        {
            "delay": np.float64(4),
            "distance": np.float32(1400.5),
            "carrier": "UA",
            "month": np.int64(1),
            "night": "True",
        },
    ],
)
def test_row_is_the_same_when_it_comes_in_another_form(processor, row):
    assert encoded(processor, row) == encoded(processor, ROWS[0])


@pytest.mark.parametrize("row", [{"delay": None}, {"month": ""}, [None] * 5, ["", math.nan, None, "", math.nan]])
def test_row_is_taken_when_all_its_columns_are_missing(processor, row):
    assert np.isnan(encoded(processor, row)).tolist() == [True, True, False, False, False]
    assert encoded(processor, row)[2:] == [0, 0, 0]


def test_bare_value_is_a_row_when_there_is_one_column():
    assert encoded(TabularProcessor(["x"]), np.float64(2.5)) == [2.5]
    assert encoded(TabularProcessor(categories=["word"]).fit([["a"], ["b"], ["b"]]), "a") == [2]
    with pytest.raises(InputError, match=r"^Row 0 is of type float; the model takes a dictionary by column, or a list"):
        TabularProcessor(["x", "y"]).arrays([2.5])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "names no column; the model takes delay, distance, carrier, month, night, null for missing."),
        (
            {"delay": 1, "carier": "UA"},
            "has the column 'carier', which the model does not know; the nearest that it knows is 'carrier'. Its ",
        ),
        ({"zzz": 1}, "has the column 'zzz', which the model does not know; the nearest that it knows is "),
        ({7: 1}, "has the column 7, which the model does not know; the nearest that it knows is "),
        ({"x" * 10**6: 1}, "has the column 'xxxxxxxxxxxx...xxxxxxxxxxxxx', which the model does not know; "),
        ([1, 2, 3], "has 3 values; the model takes 5: delay, distance, carrier, month, night."),
        ([], "has 0 values; the model takes 5: delay, distance, carrier, month, night."),
        (None, "is null; the model takes a dictionary by column, or a list of values."),
        ("UA", "is of type str; the model takes a dictionary by column, or a list of values."),
        (np.zeros((5, 1)), "is of type ndarray; the model takes a dictionary by column, or a list of values."),
        (
            {"delay": "12.5"},
            "has '12.5' (str) in the column delay, which takes numbers. Send a number, without quotation",
        ),
        ({"delay": True}, "has True (bool) in the column delay, which takes numbers."),
        ({"delay": math.inf}, "has inf in the column delay; a number must be finite, and at most 3.4e+38 in size."),
        ({"carrier": 1.5}, "has 1.5 in the column carrier, which takes categories. Send a text, a whole number"),
        ({"carrier": ["UA"]}, "has ['UA'] (list) in the column carrier, which takes categories."),
    ],
)
def test_row_is_named_with_what_is_wrong_when_it_does_not_fit(processor, row, message):
    with pytest.raises(InputError) as caught:
        processor.arrays([ROWS[0], row])
    assert str(caught.value).startswith(f"Row 1 {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "categories", "message"),
    [
        ([], [], "processor.numbers and processor.categories are empty; name at least one column."),
        (
            ["x", "y"],
            ["x"],
            "processor.numbers and processor.categories name x twice; a column is one of numbers or one",
        ),
        (["y", "y"], ["x", "x"], "processor.numbers and processor.categories name x, y twice; a column is one of"),
    ],
)
def test_columns_are_named_when_they_are_none_or_twice(numbers, categories, message):
    with pytest.raises(ConfigError) as caught:
        TabularProcessor(numbers, categories)
    assert str(caught.value).startswith(message)


def test_model_inputs_have_the_graphs_types_when_rows_are_collated(processor):
    model_inputs = processor.batch(processor.preprocess(ROWS))
    assert {name: (array.dtype, array.shape) for name, array in model_inputs.items()} == {
        "numbers": (np.float32, (4, 2)),
        "categories": (np.int64, (4, 3)),
    }
    np.testing.assert_array_equal(model_inputs["numbers"][:, 1], np.float32([1400.5, math.nan, 200, 760]))
    np.testing.assert_array_equal(model_inputs["categories"][:, 0], [1, 2, 1, 0])


def test_model_input_is_left_out_when_it_has_no_column():
    for processor, name in ((TabularProcessor(["x"]), "numbers"), (TabularProcessor(categories=["x"]), "categories")):
        assert list(processor.batch(processor.preprocess([[None]]))) == [name]
        assert processor.dynamic_axes == {name: {0: "batch"}}


def test_tensors_are_one_a_column_when_a_caller_asks(processor):
    assert [(spec.name, spec.datatype, spec.shape) for spec in processor.input_specs] == [
        ("delay", "FP64", (-1,)),
        ("distance", "FP64", (-1,)),
        ("carrier", "BYTES", (-1,)),
        ("month", "BYTES", (-1,)),
        ("night", "BYTES", (-1,)),
    ]


@pytest.mark.parametrize(
    ("value", "many"),
    [([ROWS[0]], True), ([[1, 2, 3]], True), ([1, 2, 3], False), (ROWS[0], False), ([], False), (None, False)],
)
def test_rows_are_told_from_one_row_when_json_is_read(processor, value, many):
    assert processor.is_many(value) is many


@pytest.mark.parametrize(
    ("spelt", "false", "true"),
    [
        (["TRUE", "FALSE", "TRUE", "unknown"], "FALSE", "TRUE"),
        (["true", "false"], "false", "true"),
        ([True, False], "False", "True"),
        (["True", "TRUE", "TRUE", "False"], "False", "True"),
        (["TRUE", "true", "true", "false"], "false", "true"),
    ],
    ids=["upper case", "lower case", "truth values", "Python's and upper case", "two cases, one more frequent"],
)
def test_truth_value_is_the_category_that_spells_it_when_json_sends_one(spelt, false, true):
    processor = TabularProcessor(categories=["flag"]).fit([{"flag": value} for value in spelt])
    assert encoded(processor, {"flag": True}) == encoded(processor, {"flag": true}) != [0]
    assert encoded(processor, {"flag": False}) == encoded(processor, {"flag": false}) != [0]
    told = processor.row_schema["properties"]["flag"]["description"]
    assert told == f"false is read as {false!r}, true as {true!r}"


def test_spellings_stay_different_categories_when_they_are_sent_as_texts():
    processor = TabularProcessor(categories=["flag"]).fit([{"flag": "TRUE"}, {"flag": "FALSE"}])
    assert encoded(processor, {"flag": "true"}) == encoded(processor, {"flag": "True"}) == [0]
    assert "description" not in TabularProcessor(categories=["x"]).fit([{"x": "yes"}]).row_schema["properties"]["x"]


def test_row_fits_the_schema_when_the_processor_takes_it(processor):
    for row in (*ROWS[:3], {"delay": None}, {"carrier": None, "night": True}):
        jsonschema.validate(row, processor.row_schema)
    for row in ({}, {"carier": "UA"}, {"delay": "4"}, {"delay": True}, {"carrier": []}, [1, 2]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(row, processor.row_schema)


def test_processor_is_the_same_when_it_was_saved_and_loaded(processor, tmp_path):
    processor.save(tmp_path)
    again = load_processor(json.loads(json.dumps(processor.record())), tmp_path)
    assert again.net_arguments == processor.net_arguments
    np.testing.assert_array_equal(np.stack(again.arrays(ROWS)), np.stack(processor.arrays(ROWS)))
    again.save(tmp_path / "again")
    assert (tmp_path / "again/columns.json").read_bytes() == (tmp_path / "columns.json").read_bytes()


def test_asset_is_the_same_when_another_process_learns_it(tmp_path):
    code = (
        "import pathlib, sys\nfrom maas.runtime.processors.tabular import TabularProcessor\n"
        "rows = [{'x': number / 7, 'word': f'w{number * 7 % 13}', 'big': number % 2 == 0} for number in range(400)]\n"
        "TabularProcessor(['x'], ['word', 'big'], 9).fit(rows).save(pathlib.Path(sys.argv[1]))\n"
    )
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
    assert (tmp_path / "one/columns.json").read_bytes() == (tmp_path / "two/columns.json").read_bytes()


def test_rows_are_encoded_alike_when_plain_and_odd_types_stand_in_one_column(processor):
    plain = [{"delay": float(number), "month": str(number % 12)} for number in range(50)]
    odd = [{"delay": np.int16(number), "month": number % 12} if number % 3 else row for number, row in enumerate(plain)]
    np.testing.assert_array_equal(np.stack(processor.arrays(odd)), np.stack(processor.arrays(plain)))


def test_no_feature_is_returned_when_there_is_no_row(processor):
    assert processor.arrays([]) == []


SALES = [
    {"price": 3.5, "kind": "a", "sold": "2026-03-05 14:30"},
    {"price": 1.5, "kind": "b", "sold": "2026-03-06"},
    {"price": None, "kind": None, "sold": None},
]


@pytest.fixture
def dated() -> TabularProcessor:
    return TabularProcessor(["price"], ["kind"], dates=["sold"]).fit(SALES)


def test_dates_become_numbers_after_the_others_when_rows_are_encoded(dated):
    assert encoded(dated, SALES[0]) == [3.5, 2026, 3, 5, 3, 14.5, pytest.approx(20517 + 14.5 / 24), 1]
    assert np.isnan(encoded(dated, SALES[2])[:-1]).all()
    assert dated.number_names == (
        "price",
        *(f"sold.{one}" for one in ("year", "month", "day", "weekday", "hour", "elapsed")),
    )


def test_batches_and_nets_have_the_numbers_of_dates_when_there_are_some(dated):
    batch = dated.batch(dated.preprocess(SALES))
    assert {name: array.shape for name, array in batch.items()} == {"numbers": (3, 7), "categories": (3, 1)}
    assert len(dated.net_arguments["number_means"]) == 7
    assert dated.deviations.keys() == {"price"}
    assert [spec.datatype for spec in dated.input_specs] == ["FP64", "BYTES", "BYTES"]
    jsonschema.validate(SALES[0], dated.row_schema)


def test_numbers_of_dates_are_standardised_when_others_are():
    rows = [{"sold": row["sold"]} for row in SALES[:2]]
    found = np.stack(TabularProcessor(dates=["sold"], standardize=True).fit(rows).arrays(rows))
    np.testing.assert_allclose(found[:, 2], [-1, 1])  # days 5 and 6
    np.testing.assert_allclose(found[:, 0], [0, 0])


def test_dates_are_there_again_when_a_processor_is_saved(dated, tmp_path):
    dated.save(tmp_path)
    again = load_processor(dated.record(), tmp_path)
    np.testing.assert_array_equal(np.stack(again.arrays(SALES)), np.stack(dated.arrays(SALES)))


def test_row_is_named_when_its_date_is_none(dated):
    with pytest.raises(InputError, match="Row 0 has 'tomorrow' in the column sold, which takes dates"):
        dated.arrays([{"sold": "tomorrow"}])
