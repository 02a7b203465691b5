"""95 % intervals: from resampled sums over rows, from a metric's standard error, and of a user's own functions."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError
from maas.records.evidence import Interval
from maas.scoring.estimates import Estimate

RESAMPLES = 2000
Z_95 = 1.959963984540054
DRAWN_AT_ONCE = 1024
"""Rows that are drawn together, for memory."""
MOST_GROUPS = 8192
"""Of more rows, sums of random groups are drawn: a group counts as its rows would, and a million take a second."""
OWN_RESAMPLES = 200
OWN_ROWS = 20_000
"""How often, and on how many rows at most, a user's own function is computed for its interval."""

Sums = NDArray[np.float64]
OfRows = Callable[[NDArray[np.int64]], float]
"""A metric of the rows at these places, (n,)."""


def resampled(columns: Sums, seed: int) -> Sums:
    """Returns the sums of each resampling of rows, (RESAMPLES, C): each counts a Poisson(1) number of times.

    For many rows this is the same as drawing N of N.

    Args:
        columns: what each row adds, (N, C).
        seed: random seed.
    """
    generator = np.random.default_rng(seed)
    groups = columns if len(columns) <= MOST_GROUPS else _grouped(columns, generator)
    sums = np.zeros((RESAMPLES, columns.shape[1]))
    for start in range(0, len(groups), DRAWN_AT_ONCE):
        block = groups[start : start + DRAWN_AT_ONCE]
        sums += generator.poisson(1.0, (RESAMPLES, len(block))).astype(np.float64) @ block
    is_empty = ~sums.any(axis=1)  # as one resampling of very few rows may be
    sums[is_empty] = columns.sum(axis=0)
    return sums


def interval_of(value: float, samples: NDArray[np.float64]) -> Interval:
    """Returns a value with the ends of the 95 % interval of its samples."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def interval_of_estimate(estimate: Estimate) -> Interval:
    """Returns a metric with its interval in closed form: by its log-odds where it lies between 0 and 1.

    One about which the rows say nothing may lie anywhere.
    """
    value, (lowest, highest) = estimate.value, estimate.limits
    if not estimate.is_known:
        return Interval(value, lowest, highest)
    half = Z_95 * estimate.deviation
    if highest == 1 and 0 < value < 1:
        odds, factor = value / (1 - value), math.exp(min(half / (value * (1 - value)), 700.0))
        return Interval(value, odds / factor / (1 + odds / factor), 1 - 1 / (1 + odds * factor))
    return Interval(value, max(lowest, value - half), min(highest, value + half))


def interval_of_drop(parent: Estimate, child: Estimate, scale: float) -> Interval:
    """Returns parent minus child on the same rows, times a factor, with its paired interval in closed form."""
    half = Z_95 * abs(scale) * float(np.sqrt(((parent.influence - child.influence) ** 2).sum()))
    value = scale * (parent.value - child.value)
    return Interval(value, value - half, value + half)


def interval_of_function(metric: OfRows, rows: int, seed: int) -> Interval:
    """Returns a function of rows with the interval of its bootstrap.

    Of many rows, few are drawn each time, and the interval narrows with the root of how many there are.

    Args:
        metric: a function of the rows at these places.
        rows: N.
        seed: random seed.

    Raises:
        ConfigError: it fails on all rows, or on most resamplings of them.

    Source:
        Politis, Romano and Wolf, Subsampling, 1999, §2.2.
    """
    value, generator = metric(np.arange(rows)), np.random.default_rng(seed)
    drawn = min(rows, OWN_ROWS)
    samples, fault = list[float](), None
    for _ in range(OWN_RESAMPLES):
        try:
            samples.append(metric(generator.integers(0, rows, drawn)))
        except ConfigError as error:  # as where no row of a label was drawn
            fault = error
    if fault is not None and len(samples) < OWN_RESAMPLES // 2:
        raise fault
    low, high = np.quantile(np.array(samples) - value, [0.025, 0.975]) * math.sqrt(drawn / rows)
    return Interval(value, value + min(float(low), 0.0), value + max(float(high), 0.0))


def _grouped(columns: Sums, generator: np.random.Generator) -> Sums:
    """Returns the sums of `MOST_GROUPS` random groups of rows."""
    order = generator.permutation(len(columns))
    starts = np.linspace(0, len(columns), MOST_GROUPS, endpoint=False).astype(np.int64)
    sums: Sums = np.add.reduceat(columns[order], starts, axis=0)
    return sums
