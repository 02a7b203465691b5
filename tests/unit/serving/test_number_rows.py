"""Rows of numbers, read at once: the same as json reads, or left to the reader that names faults."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas.serving.protocols.number_rows import holds_lists, number_rows

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


@given(st.integers(1, 5).flatmap(lambda size: st.lists(st.lists(NUMBERS, min_size=size, max_size=size), min_size=1)))
def test_rows_are_those_of_json_when_they_are_numbers_of_one_length(rows):
    found = number_rows(json.dumps({"rows": rows}).encode(), "rows")
    np.testing.assert_array_equal(found, np.array(rows, dtype=np.float64))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[[1]]",
        b'{"rows": [[1]], "model": "a"}',
        b'{"rows": [[1]], "rows": [[2]]}',
        b'{"other": [[1]]}',
        b'{"rows": []}',
        b'{"rows": [1]}',
        b'{"rows": [[1], [2, 3]]}',
        b'{"rows": [[1, 2], [[3], 4]]}',
        b'{"rows": [[[1]]]}',
        b'{"rows": [[1, true]]}',
        b'{"rows": [[1, null]]}',
        b'{"rows": [[1, "2"]]}',
        b'{"rows": [{"a": 1}]}',
        b'{"rows": [[1e400]]}',
        b'{"rows": [[123456789012345678901234567890]]}',
        b'{"rows": [[NaN]]}',
        b'{"rows": [[1]]} x',
        b'{"rows": [[1]',
        b"\xff",
        json.dumps({"rows": [[1] * 20_000]}).encode(),
    ],
)
def test_body_is_left_to_another_reader_when_it_holds_anything_else(body):
    assert number_rows(body, "rows") is None
    assert number_rows(b'{"rows": [[1]]}', "rows").tolist() == [[1.0]]


@given(st.text("[]a\n", max_size=12), st.integers(0, 6))
def test_lists_are_counted_by_their_brackets(text, count):
    assert holds_lists(text.encode(), count) == (text.count("[") == count)
