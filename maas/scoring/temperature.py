"""The one number that logits are divided by so that probabilities can be believed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_TEMPERATURE = 20.0
"""Temperatures lie between 1 / 20 and 20: rows that are all right, or all wrong, would have none."""
BISECTIONS = 60


def fitted_temperature(logits: NDArray[Any], targets: NDArray[Any]) -> float:
    """Returns the T > 0 with which the softmax of logits / T has the smallest log loss.

    In β = 1 / T the log loss is convex: its derivative, the mean over rows of Σ_k p_k z_k − z_y, rises, and is 0 there.

    Args:
        logits: z, (N, K).
        targets: y, positions of labels, (N,).

    Source:
        Guo et al., On calibration of modern neural networks, arXiv:1706.04599, §4.2.
    """
    wide = logits.astype(np.float64)
    own = wide[np.arange(len(targets)), targets].mean()
    low, high = np.log(1 / LARGEST_TEMPERATURE), np.log(LARGEST_TEMPERATURE)  # of β
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _expected(wide, np.exp(middle)) < own:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def _expected(logits: NDArray[np.float64], beta: float) -> float:
    """Returns the mean over rows of the logit that probabilities expect."""
    scaled = beta * logits
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return float(((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean())
