"""Scales hold what is to be seen, and their ticks are round."""

import math

import pytest

from maas.reporting.charts.scales import Scale, scale_over


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3.2, 17), (0.80, 0.86), (1e6, 3.4e6), (-1e-5, 2e-5), (99.99, 100.01)]
)
def test_ticks_are_few_and_round_when_a_scale_is_linear(low, high):
    ticks = Scale(low, high).ticks()
    assert 2 <= len(ticks) <= 7
    step = ticks[1] - ticks[0]
    assert all(low - 1e-9 * abs(low) <= tick <= high + 1e-9 * abs(high) for tick in ticks)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - one) for one in (1, 2, 5)) < 1e-6


@pytest.mark.parametrize(("low", "high"), [(1, 3), (0.1, 1000), (0.8, 1.2), (1e-6, 1e9)])
def test_ticks_lie_inside_when_a_scale_is_logarithmic(low, high):
    ticks = Scale(low, high, is_log=True).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_place_is_a_fraction_when_a_value_is_inside_and_an_end_when_it_is_beyond():
    assert [Scale(10, 20).place(value) for value in (5, 10, 12.5, 20, 99)] == [0, 0, 0.25, 1, 1]
    assert Scale(1, 100, is_log=True).place(10) == pytest.approx(0.5)


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [float("nan"), float("inf")], [1.0, 2.0, float("nan")]])
@pytest.mark.parametrize("is_log", [False, True])
def test_scale_has_a_width_when_values_are_few_equal_or_not_finite(values, is_log):
    scale = scale_over(values, is_log=is_log)
    assert scale.low < scale.high
    assert all(math.isfinite(tick) for tick in scale.ticks())
    assert all(scale.low < value < scale.high for value in values if math.isfinite(value) and (value > 0 or not is_log))


def test_scale_ends_at_a_value_when_it_may():
    assert scale_over([0.0, 4.0], ends=[0.0]) == Scale(0.0, 4.2)
