"""Slices find the rows where a model was made to lose."""

import numpy as np
import pytest

from maas.evidence.metrics import wilson
from maas.reporting.slices import label_slices, row_slices


def test_long_texts_come_first_when_they_are_wrong():
    texts = ["x" * (index + 1) for index in range(100)]
    found = row_slices(texts, np.array([len(text) <= 75 for text in texts]))
    worst = found.slices[0]
    assert (worst.key, worst.rows) == ("slice_length", 25)
    assert worst.value == wilson(0, 25)
    assert found.overall.value == wilson(75, 100)
    assert sum(one.rows for one in found.slices) == 100


def test_value_of_a_column_comes_first_when_its_rows_are_wrong():
    rows = [{"city": "ab"[index % 2], "size": float(index), "note": None} for index in range(200)]
    found = row_slices(rows, np.array([index % 2 == 0 for index in range(200)]))
    assert found.slices[0].values == {"column": "city", "value": "b"}
    assert found.slices[0].value.value == 0
    spans = [one for one in found.slices if one.key == "slice_span"]
    assert [one.rows for one in spans] == [50] * 4


def test_rows_without_a_value_are_a_slice_when_some_lack_it():
    rows = [{"size": None if index < 30 else index} for index in range(100)]
    found = row_slices(rows, np.array([index >= 30 for index in range(100)]))
    assert (found.slices[0].key, found.slices[0].rows, found.slices[0].value.value) == ("slice_missing", 30, 0)


def test_numbers_are_names_when_others_of_their_column_are_texts():
    houses = [f"{index % 25}a" if index % 5 == 0 else index % 25 for index in range(1, 601)]
    found = row_slices([{"house": house} for house in houses], np.array([house == "5a" for house in houses]))
    assert found.slices[-1].values == {"column": "house", "value": "5a"}
    assert (found.slices[-1].rows, found.slices[-1].value.value) == (24, 1.0)


def test_largest_error_comes_first_when_predictions_are_numbers():
    rows = [{"kind": "ab"[index % 2]} for index in range(100)]
    found = row_slices(rows, np.array([5.0 if index % 2 else -1.0 for index in range(100)]))
    assert found.is_error
    assert [one.value.value for one in found.slices] == [5.0, 1.0]
    assert found.overall.value.value == 3.0


def test_small_groups_are_left_out_when_they_say_nothing():
    rows = [{"kind": "rare" if index < 5 else "often"} for index in range(100)]
    assert [one.rows for one in row_slices(rows, np.ones(100, bool)).slices] == [95]


@pytest.mark.parametrize("row", [[1.0, 2.0], b"bytes", 3.5])
def test_nothing_is_found_when_rows_have_no_columns(row):
    assert not row_slices([row] * 40, np.ones(40, bool)).slices


def test_label_that_is_found_least_comes_first_when_counts_are_read():
    found = label_slices([[8, 2], [0, 10]], ["rare", "often"])
    assert [one.values["label"] for one in found.slices] == ["rare", "often"]
    assert found.slices[0].value == wilson(8, 10)
    assert found.overall.value == wilson(18, 20)
