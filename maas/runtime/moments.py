"""Of some numbers: their extremes, their mean and their standard deviation.

Neither a large offset nor a large or tiny unit takes digits from mean and deviation.
"""

import math

import numpy as np
from numpy.typing import NDArray


def extremes(values: NDArray[np.generic]) -> tuple[float, float]:
    """Returns the smallest and the largest of some numbers; both are NaN where one is.

    By their places: numpy finds these faster than it reduces a small array.

    Args:
        values: of any shape, at least one.
    """
    return float(values.item(values.argmin())), float(values.item(values.argmax()))


def moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the mean and the standard deviation √(1/N Σ(x − x̄)²) of finite numbers, in float64.

    The mean is taken twice, the second time of what the first leaves, and what the second leaves is taken off the sum
    of squares. Numbers are squared in a unit in which none is above 1.

    Args:
        values: (N,), N ≥ 1.

    Returns:
        The deviation is 0 where all values are equal: rounding would give them one.

    Source:
        Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983, eq. 1.7.

    Example:
        >>> moments(np.array([1.7e9, 1.7e9 + 2]))
        (1700000001.0, 1.0)
    """
    _, exponent = math.frexp(float(np.abs(values).max()))
    scaled = np.ldexp(values, -exponent)  # by a power of two: exact
    mean = float(scaled.mean())
    mean += float((scaled - mean).mean())
    apart = scaled - mean
    spread = float(np.abs(apart).max()) if scaled.min() < scaled.max() else 0.0
    if not spread:
        return math.ldexp(mean, exponent), 0.0
    apart /= spread
    deviation = spread * math.sqrt(float(np.square(apart).mean()) - float(apart.mean()) ** 2)
    return math.ldexp(mean, exponent), math.ldexp(deviation, exponent)


def moments_of_present(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns mean and standard deviation of the values that are no NaN; a deviation of 1 where they do not differ."""
    present = values[~np.isnan(values)]
    mean, deviation = moments(present) if present.size else (0.0, 0.0)
    return mean, deviation or 1.0
