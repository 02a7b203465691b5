"""Frames and tables of other libraries are rows: their columns by name, whatever else they hold."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from maas.errors import InputError
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor
from maas.runtime.table_rows import raw_rows_of

COLUMNS = TabularProcessor(numbers=["age"], categories=["city"])
FRAME = pd.DataFrame({"city": ["北京", None], "id": [7, 8], "age": [30, 31], "target": ["a", "b"]}, index=[5, 9])
ROWS = [{"age": 30, "city": "北京"}, {"age": 31, "city": None}]


@pytest.mark.parametrize("table", [FRAME, pa.Table.from_pandas(FRAME)], ids=["pandas", "pyarrow"])
def test_columns_that_the_model_reads_are_taken_from_a_table(table):
    found = raw_rows_of(table, COLUMNS)
    np.testing.assert_array_equal(COLUMNS.arrays(found), COLUMNS.arrays(ROWS))
    assert [list(row) for row in found] == [["age", "city"]] * 2


def test_missing_values_of_pandas_are_missing():
    frame = pd.DataFrame({"age": pd.array([30, None], dtype="Int64"), "city": pd.Categorical(["a", None])})
    found = COLUMNS.fit([{"age": 1, "city": "a"}]).arrays(raw_rows_of(frame, COLUMNS))
    np.testing.assert_array_equal(found, [[30, 1], [np.nan, 0]])


def test_table_is_refused_when_a_column_is_missing():
    with pytest.raises(InputError) as refused:
        raw_rows_of(FRAME.rename(columns={"city": "City"}), COLUMNS)
    assert str(refused.value) == "The table has no column 'city'; the model reads age, city. Did you mean 'City'?"


def test_table_is_refused_when_two_columns_have_one_name():
    twice = pd.DataFrame([[1, 2, "a"]], columns=["age", "age", "city"])
    with pytest.raises(InputError, match="The column 'age' is a DataFrame; a table has one column of each name."):
        raw_rows_of(twice, COLUMNS)


@pytest.mark.parametrize("name", ["text", "review"])
def test_texts_are_the_only_column_or_that_of_the_input(name):
    frame = pd.DataFrame({name: ["很好", "不好"]})
    assert raw_rows_of(frame, TextProcessor(8)) == ["很好", "不好"]
    assert raw_rows_of(frame[name], TextProcessor(8)) == ["很好", "不好"]


def test_texts_are_the_only_column_of_texts_when_others_are_there():
    frame = pd.DataFrame({"stars": [5, 1, 3], "review": ["很好", "还行", "不好"]})
    assert raw_rows_of(frame, TextProcessor(8)) == ["很好", "还行", "不好"]


def test_table_is_refused_when_a_text_could_be_any_of_its_columns():
    frame = pd.DataFrame({"review": ["a"], "place": ["b"]})
    with pytest.raises(InputError) as refused:
        raw_rows_of(frame, TextProcessor(8))
    assert str(refused.value) == (
        "The model reads one value a row, its text; the table has 2 columns: 'review', 'place'. Choose the one to "
        "read, e.g. predict(table['review'])."
    )


def test_rows_of_numbers_are_rows_of_the_table():
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(raw_rows_of(frame, ArrayProcessor(shape=[3])), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("rows", [["a", "b"], ROWS, [[1, "x"]]], ids=str)
def test_other_rows_stay_as_they_are(rows):
    assert raw_rows_of(rows, COLUMNS) is rows
