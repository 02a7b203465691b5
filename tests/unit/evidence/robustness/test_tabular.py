"""Noise and missing values in columns."""

import numpy as np
import pytest

from maas.evidence.robustness import perturbations_of
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

ROWS = [{"speed": float(10 * index), "delay": index % 7, "town": "AB"[index % 2]} for index in range(2000)]
PROCESSOR = TabularProcessor(numbers=["speed", "delay"], categories=["town"]).fit(ROWS)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def of(processor) -> dict:
    return {one.name: one for one in perturbations_of(processor)}


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_noise_is_in_standard_deviations_when_it_is_added_to_columns(strength):
    found = of(PROCESSOR)["noise"].rows_at(strength, ROWS, random())
    for name in ("speed", "delay"):
        shifts = np.array([new[name] - old[name] for new, old in zip(found, ROWS, strict=True)])
        assert shifts.std() == pytest.approx(strength * np.std([row[name] for row in ROWS]), rel=0.05)
        assert shifts.mean() == pytest.approx(0, abs=0.1 * shifts.std())
    assert [row["town"] for row in found] == [row["town"] for row in ROWS]


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_missing_values_stay_missing_when_noise_is_added(missing):
    (row,) = of(PROCESSOR)["noise"].rows_at(1.0, [[3.0, missing, "A"]], random())
    assert row["speed"] != 3.0
    assert np.isnan(PROCESSOR.arrays([row])[0][1])


@pytest.mark.parametrize("rate", [0.1, 0.8])
def test_share_of_gaps_is_the_rate_when_values_go_missing(rate):
    found = of(PROCESSOR)["missing values"].rows_at(rate, ROWS, random())
    gone = np.array([[value is None for value in row.values()] for row in found])
    np.testing.assert_allclose(gone.mean(axis=0), rate, atol=0.03)
    for new, old in zip(found, ROWS, strict=True):
        assert all(value is None or value == old[name] for name, value in new.items())
    PROCESSOR.arrays(found)


def test_gaps_stay_when_more_are_made():
    few, many = (of(PROCESSOR)["missing values"].rows_at(rate, ROWS, random()) for rate in (0.1, 0.4))
    for one, other in zip(few, many, strict=True):
        assert all(other[name] is None for name, value in one.items() if value is None)


def test_noise_is_left_out_when_no_column_is_a_number():
    assert list(of(TabularProcessor(categories=["town"]).fit([["A"], ["B"]]))) == ["missing values"]


def test_nothing_changes_when_the_strength_is_zero():
    for processor, rows in ((PROCESSOR, ROWS), (ArrayProcessor([2]), [[1, -0.0], [2.5, 3]])):
        for one in perturbations_of(processor):
            assert one.strengths[0] == 0
            before, after = processor.arrays(rows), processor.arrays(one.rows_at(0, rows, random()))
            assert [row.tobytes() for row in before] == [row.tobytes() for row in after]


def test_noise_is_in_standard_deviations_of_each_value_when_rows_are_arrays():
    rows = np.random.default_rng(1).normal(0, [1.0, 50.0, 0.0], (3000, 3)).astype(np.float32)
    found = np.stack(of(ArrayProcessor([3]))["noise"].rows_at(0.5, list(rows), random()))
    np.testing.assert_allclose((found - rows).std(axis=0), [0.5, 25, 0], rtol=0.05)


def test_noise_stays_in_range_when_arrays_have_one():
    processor = ArrayProcessor([2], low=0, high=16)
    rows = np.random.default_rng(1).integers(0, 17, (500, 2)).tolist()
    found = of(processor)["noise"].rows_at(1.0, rows, random())
    assert np.min(found) == 0
    assert np.max(found) == 16
    processor.arrays(found)
    assert np.min(of(ArrayProcessor([2], high=16))["noise"].rows_at(1.0, rows, random())) < 0
