"""Arrays of numbers: noise within their range."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors.array import ArrayProcessor


def perturbations(processor: ArrayProcessor) -> tuple[Perturbation, ...]:
    """Returns noise."""

    def noisy_within_range(rows: Sequence[Any], strength: float, random: np.random.Generator) -> list[Any]:
        return [
            np.clip(row, processor.low, processor.high)
            for row in noisy_arrays(processor.values(rows), strength, random)
        ]

    return (Perturbation("noise", "standard deviations", (0.0, 0.1, 0.2, 0.5, 1.0), noisy_within_range),)


def noisy_arrays(rows: Sequence[NDArray[Any]], strength: float, random: np.random.Generator) -> list[NDArray[Any]]:
    """Returns arrays with Gaussian noise on each value, in standard deviations of that value over the rows."""
    values = np.stack(rows)
    noise = random.standard_normal(values.shape)
    return list((values + strength * values.std(axis=0, dtype=np.float64) * noise).astype(values.dtype))
