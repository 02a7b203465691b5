"""A metric of rows together with what each row adds to it, from which its standard error follows in closed form."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Influence = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A metric's value, and how it moves with the weight of each row: the infinitesimal jackknife.

    A metric θ of weighted rows has the variance Σ_i (∂θ/∂w_i)² where rows are drawn independently, and the difference
    of two metrics of the same rows that of their derivatives' difference. Of AUC this is DeLong's estimate.

    Args:
        value: θ.
        influence: ∂θ/∂w_i of each row, (N,); their sum is 0.
        limits: smallest and largest value that it can take.
        is_known: whether the rows say anything about it.

    Source:
        Efron, The jackknife, the bootstrap and other resampling plans, 1982, ch. 6.
    """

    value: float
    influence: Influence
    limits: tuple[float, float] = (0.0, math.inf)
    is_known: bool = True

    @property
    def deviation(self) -> float:
        """Standard error of the value."""
        return float(np.sqrt((self.influence**2).sum()))


def mean_of(losses: NDArray[np.float64]) -> Estimate:
    """Returns the mean of what each row loses.

    Args:
        losses: (N,), 0 or more.
    """
    mean = float(losses.mean())
    return Estimate(mean, unbiased(losses - mean, len(losses)) / len(losses))


def unbiased(deviations: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Returns deviations from a mean of `rows`, as large as those from the true mean are expected to be."""
    return deviations * math.sqrt(rows / (rows - 1)) if rows > 1 else deviations
