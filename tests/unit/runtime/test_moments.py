"""Means and deviations against exact fractions; extremes against numpy's own reductions."""

from fractions import Fraction

import numpy as np
import pytest

from maas.runtime.moments import extremes, moments


def exactly(values: list[float]) -> tuple[float, float]:
    """Returns mean and deviation by rational numbers; the root alone is rounded."""
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers) / len(numbers)
    variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
    scale = Fraction(2) ** (variance.numerator.bit_length() // 2 - variance.denominator.bit_length() // 2)
    return float(mean), float(scale) * float(variance / scale**2) ** 0.5 if variance else 0.0


@pytest.mark.parametrize("offset", [0.0, 1.7e9, -1e15, 1e-30])
@pytest.mark.parametrize("unit", [1.0, 60.0, 1e-200, 1e39, 1e290])
def test_moments_are_exact_when_numbers_lie_far_away_or_are_huge_or_tiny(offset, unit):
    values = ((offset + np.random.default_rng(0).normal(0, 60, 500)) * unit).tolist()
    mean, deviation = exactly(values)
    found = moments(np.array(values))
    assert found[0] == pytest.approx(mean, rel=1e-15, abs=1e-15 * deviation)
    assert found[1] == pytest.approx(deviation, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1.7e9, 1e39, 1.7e308])
def test_deviation_is_nothing_when_all_numbers_are_equal(value):
    assert moments(np.full(7, value)) == (pytest.approx(value, rel=1e-15), 0.0)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 4)])
def test_extremes_are_the_smallest_and_the_largest_number(kind, shape):
    values = np.random.default_rng(0).normal(0, 9, shape).astype(kind)
    for array in (values, values.T, np.repeat(values, 2, axis=-1)[..., ::2]):
        assert extremes(array) == (array.min(), array.max())


@pytest.mark.parametrize("place", range(6))
def test_extremes_are_not_numbers_when_one_number_is_none(place):
    values = np.array([3.0, -np.inf, 1.0, 2.0, np.inf, 0.0], np.float32)
    values[place] = np.nan
    assert np.isnan(extremes(values.reshape(2, 3))).all()
