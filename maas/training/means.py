"""Means over the rows of an epoch."""

from collections.abc import Callable

import torch
from torch import Tensor


class MeanOverRows:
    """A sum of values, each times its rows, and the number of rows; both in float64.

    They are no buffers of a module: callbacks that average a module's weights would average these, too.
    """

    def __init__(self) -> None:
        self._total = torch.zeros((), dtype=torch.float64)
        self._rows = 0.0

    def add(self, value: Tensor, rows: float) -> None:
        """Adds the mean of some rows.

        Args:
            value: a scalar that is part of no graph.
            rows: how many it is the mean of.
        """
        self._total = self._total.to(value.device) + value * rows
        self._rows += rows

    def __bool__(self) -> bool:
        """Tells whether anything was added."""
        return self._rows > 0

    @property
    def so_far(self) -> float:
        """The mean of what this process added."""
        return float(self._total / self._rows)

    def taken(self, summed: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns the mean, float32, and begins anew.

        Args:
            summed: gives the sum of a scalar over all processes.
        """
        mean = summed(self._total) / summed(torch.full_like(self._total, self._rows))
        self._total, self._rows = torch.zeros_like(self._total), 0.0
        return mean.float()

    def state_dict(self) -> dict[str, Tensor | float]:
        """What was added since the beginning."""
        return {"total": self._total, "rows": self._rows}

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Goes on from what was added."""
        self._total, self._rows = torch.as_tensor(state["total"]), float(state["rows"])
