"""Size of a net: the numbers that it holds, and what a row costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class NetSize:
    """Numbers that a net holds, and multiply-accumulates for a row."""

    parameters: int
    macs: int

    @classmethod
    def of(cls, net: nn.Module, model_inputs: Mapping[str, Tensor]) -> Self:
        """Measures a net.

        Args:
            net: net in evaluation mode.
            model_inputs: batch of its inputs, by name.
        """
        return cls(parameters(net), macs(net, model_inputs))

    @property
    def cost(self) -> float:
        """Their product."""
        return float(self.parameters) * self.macs

    def covers(self, other: "NetSize") -> bool:
        """Whether another net is no larger, in both."""
        return self.parameters >= other.parameters and self.macs >= other.macs


def macs(net: nn.Module, model_inputs: Mapping[str, Tensor]) -> int:
    """Returns multiply-accumulates for one row, of matrix products, convolutions and attention."""
    rows = len(next(iter(model_inputs.values())))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(**model_inputs)
    return int(counter.get_total_flops()) // (2 * rows)


def parameters(net: nn.Module) -> int:
    """Returns the number of trainable numbers in a net."""
    return sum(one.numel() for one in net.parameters())
