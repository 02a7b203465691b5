"""Means over an epoch."""

from collections.abc import Callable

import torch
from torch import Tensor


class WeightedMean:
    """A sum of values, each times its weight, and the sum of the weights; both in float64.

    They are no buffers of a module: callbacks that average a module's weights would average these, too.
    """

    def __init__(self) -> None:
        self._total = torch.zeros((), dtype=torch.float64)
        self._weight = 0.0

    def add(self, value: Tensor, weight: float) -> None:
        """Adds a value.

        Args:
            value: a scalar that is part of no graph.
            weight: e.g. how many rows it is the mean of.
        """
        self._total = self._total.to(value.device) + value * weight
        self._weight += weight

    def __bool__(self) -> bool:
        """Tells whether anything was added."""
        return self._weight > 0

    @property
    def so_far(self) -> float:
        """The mean of what this process added."""
        return float(self._total / self._weight)

    def taken(self, summed: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns the mean, float32, and starts from nothing.

        Args:
            summed: gives the sum of a scalar over all processes.
        """
        mean = summed(self._total) / summed(torch.full_like(self._total, self._weight))
        self._total, self._weight = torch.zeros_like(self._total), 0.0
        return mean.float()

    def state_dict(self) -> dict[str, Tensor | float]:
        """What was added since the beginning."""
        return {"total": self._total, "rows": self._weight}

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Continues from what was added."""
        self._total, self._weight = torch.as_tensor(state["total"]), float(state["rows"])
