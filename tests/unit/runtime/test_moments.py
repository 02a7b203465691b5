"""Means and deviations against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from maas.runtime.moments import moments


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
