"""Values of arrays."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.explaining.parts import parts_of
from maas.runtime.processors.array import ArrayProcessor


def test_values_become_zero_when_they_are_left_out(only):
    parts = parts_of([[1, 2], [3, 4]], ArrayProcessor([2, 2]), None, None)
    np.testing.assert_array_equal(only(parts, 1, 2), [[0, 2], [3, 0]])
    assert [part.name for part in parts.parts] == ["0,0", "0,1", "1,0", "1,1"]
    assert parts.labels == ("0,0 = 1", "0,1 = 2", "1,0 = 3", "1,1 = 4")


def test_baseline_lies_in_the_range_when_zero_does_not(only):
    parts = parts_of([4, 5], ArrayProcessor([2], low=3, high=9), None, None)
    assert only(parts, 1).tolist() == [3, 5]
    assert only(parts_of([-4, -5], ArrayProcessor([2], high=-1), None, None), 1).tolist() == [-1, -5]


@pytest.mark.parametrize(("baseline", "left"), [(7, [7, 5]), ([6, 8], [6, 5])])
def test_baseline_is_the_given_one_when_there_is_one(only, baseline, left):
    assert only(parts_of([4, 5], ArrayProcessor([2]), None, baseline), 1).tolist() == left


def test_neighbours_share_a_part_when_values_are_many(only):
    parts = parts_of(list(range(10)), ArrayProcessor([10]), 3, None)
    assert [part.name for part in parts.parts] == ["0–2", "3–5", "6–9"]
    assert [part.place for part in parts.parts] == [(0, 3), (3, 6), (6, 10)]
    assert only(parts, 1).tolist() == [0, 0, 0, 3, 4, 5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [
        ([1, 2, 3], "Row 0 has shape [3]; the model takes [2]."),
        (20, "Row 0 holds values from 20 to 20; they must lie in [0, 9]."),
    ],
)
def test_baseline_is_told_when_the_model_would_not_take_it(baseline, reason):
    with pytest.raises(InputError) as caught:
        parts_of([4, 5], ArrayProcessor([2], low=0, high=9), None, baseline)
    assert str(caught.value) == (
        f"baseline must be a number, or an array of the row's shape, which the model would take: {reason}"
    )
