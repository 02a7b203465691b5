"""Columns of tables."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.explaining.parts import parts_of
from maas.runtime.processors.tabular import TabularProcessor

PROCESSOR = TabularProcessor(numbers=["speed", "delay"], categories=["town"]).fit([[1, 2, "A"], [3, 4, "B"]])


def encoded(processor, row) -> np.ndarray:
    return processor.arrays([row])[0]


@pytest.mark.parametrize("row", [{"town": "B", "speed": 3}, [3, None, "B"], np.array([3, None, "B"], dtype=object)])
def test_columns_are_missing_when_they_are_left_out(only, row):
    parts = parts_of(row, PROCESSOR, None, None)
    assert [part.name for part in parts.parts] == ["speed", "delay", "town"]
    assert only(parts, 0) == {"speed": 3, "delay": None, "town": None}
    assert parts.labels == ("speed = 3", "delay = missing", "town = B")
    np.testing.assert_array_equal(encoded(PROCESSOR, only(parts, 0, 1, 2)), encoded(PROCESSOR, row))


def test_columns_are_those_of_the_baseline_when_there_is_one(only):
    parts = parts_of([3, 4, "B"], PROCESSOR, None, {"speed": 1, "delay": 2, "town": "A"})
    assert only(parts, 1) == {"speed": 1, "delay": 4, "town": "A"}


def test_neighbours_share_a_part_when_columns_are_many(only):
    parts = parts_of([3, 4, "B"], PROCESSOR, 2, None)
    assert [(part.name, part.place) for part in parts.parts] == [("speed", (0, 1)), ("delay, town", (1, 3))]
    assert only(parts, 1) == {"speed": None, "delay": 4, "town": "B"}


def test_value_alone_is_a_row_when_there_is_one_column(only):
    processor = TabularProcessor(numbers=["speed"]).fit([[1], [2]])
    assert only(parts_of(3.5, processor, None, None), 0) == {"speed": 3.5}


def test_baseline_is_told_when_the_model_would_not_take_it():
    with pytest.raises(InputError, match=r"^baseline must be a row that the model would take: Row 0 has 1 values"):
        parts_of([3, 4, "B"], PROCESSOR, None, [1])
