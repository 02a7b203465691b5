"""Values of one column: exact types, missing ones, and messages with row, value and column."""

import math

import numpy as np
import pandas as pd
import pytest

from maas.errors import InputError
from maas.runtime.columns import numbers_of, texts_of

MISSING = [None, "", math.nan, np.nan, np.float32("nan"), pd.NA, pd.NaT]


@pytest.mark.parametrize("missing", MISSING)
def test_value_is_missing_when_it_says_nothing(missing):
    assert np.isnan(numbers_of([1.5, missing], "x")).tolist() == [False, True]
    assert list(texts_of(["a", missing], "x")) == ["a", ""]


@pytest.mark.parametrize("kind", [int, float, np.int8, np.int64, np.uint32, np.float16, np.float32, np.float64])
def test_number_is_itself_when_it_is_of_any_numeric_type(kind):
    found = numbers_of([kind(3), kind(0), None], "x")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [3.0, 0.0, math.nan])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("UA", "UA"),
        (" UA ", " UA "),
        (np.str_("UA"), "UA"),
        (7, "7"),
        (-7, "-7"),
        (7.0, "7"),
        (-0.0, "0"),
        (np.int32(7), "7"),
        (np.float32(7), "7"),
        (2**64 - 1, "18446744073709551615"),
        (True, "True"),
        (np.bool_(False), "False"),
    ],
)
def test_category_is_a_text_when_it_comes_as_any_type(value, text):
    assert list(texts_of([value], "x")) == [text]
    assert list(texts_of(["other", value], "x")) == ["other", text]
    assert all(type(one) is str or isinstance(one, np.str_) for one in texts_of([value], "x"))


def test_column_is_returned_as_it_is_when_it_holds_texts_alone():
    column = ["a", "", "b"]
    assert texts_of(column, "x") is column


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("12.5", "'12.5' (str)"),
        ("many words " * 20, "'many words m...s many words ' (str)"),
        (True, "True (bool)"),
        (np.bool_(True), "np.True_ (bool)"),
        ([1], "[1] (list)"),
        ({}, "{} (dict)"),
        (b"1", "b'1' (bytes)"),
        (1j, "1j (complex)"),
    ],
)
def test_value_is_named_with_its_type_when_it_is_no_number(value, shown):
    with pytest.raises(InputError) as caught:
        numbers_of([1, value], "delay")
    assert str(caught.value) == (
        f"Row 1 has {shown} in the column delay, which takes numbers. Send a number, without quotation marks, or null "
        "for a missing one."
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (1e39, "1e+39"),
        (10**30 * 10**10, "a whole number of 133 bits"),
        (-(2**1100), "a whole number of 1101 bits"),
    ],
    ids=["infinite", "minus infinite", "float", "133 bits", "1101 bits"],
)
def test_value_is_named_when_it_is_larger_than_the_graph_can_hold(value, shown):
    with pytest.raises(InputError) as caught:
        numbers_of([1, 2.5, value], "delay")
    assert str(caught.value) == (
        f"Row 2 has {shown} in the column delay; a number must be finite, and at most 3.4e+38 in size."
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.5, "1.5"),
        (math.inf, "inf"),
        (2**64, "a whole number of 65 bits"),
        (-(2**20_000), "a whole number of 20001 bits"),
        (b"UA", "b'UA' (bytes)"),
        (["UA"], "['UA'] (list)"),
        (1j, "1j (complex)"),
    ],
    ids=["fraction", "infinite", "65 bits", "20001 bits", "bytes", "list", "complex"],
)
def test_value_is_named_when_it_is_no_category(value, shown):
    with pytest.raises(InputError) as caught:
        texts_of(["a", value], "carrier")
    assert str(caught.value) == (
        f"Row 1 has {shown} in the column carrier, which takes categories. Send a text, a whole number of at most 64 "
        "bits, a truth value, or null for a missing one."
    )
