"""Numbers that keep their digits: losses and metrics in float32 or more, means over an epoch in float64."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import HalfPrecision
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """Returns float32 for float16 and bfloat16, and everything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Returns a context in which products keep their types, also where autocast would shorten them."""
    is_shortened = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if is_shortened else nullcontext()


def keep_targets_(trainer: Trainer) -> None:
    """Lets `bf16-true` and `16-true` convert the inputs of a batch alone: bfloat16 has three digits for a target."""
    plugin = trainer.precision_plugin
    if not isinstance(plugin, HalfPrecision):
        return
    convert = plugin.convert_input
    plugin.convert_input = lambda data: data._replace(inputs=convert(data.inputs))  # type: ignore[method-assign]


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
        """Whether anything was added."""
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
