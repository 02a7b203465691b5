"""What training minimises: a loss on logits plus penalties on parameters."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from maas.bounds import NonNegative


def l2_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """λ/2 Σθ², whose gradient is λθ: with plain SGD the same as `weight_decay=λ`.

    Args:
        parameters: θ, tensors of any shape.
        weight: λ ≥ 0.

    Returns:
        A scalar.

    Source:
        Goodfellow, Bengio and Courville, Deep Learning, §7.1.1.
    """
    return weight / 2 * _total(parameter.square().sum() for parameter in parameters)


def l1_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """λ Σ|θ|, whose subgradient is λ sign(θ).

    Args:
        parameters: θ, tensors of any shape.
        weight: λ ≥ 0.

    Returns:
        A scalar.

    Source:
        Goodfellow, Bengio and Courville, Deep Learning, §7.1.2.
    """
    return weight * _total(parameter.abs().sum() for parameter in parameters)


class Objective(nn.Module):
    """loss(logits, targets) + λ₂/2 Σθ² + λ₁ Σ|θ|.

    Do not ask for L2 here and for `weight_decay` in the optimizer at once: with SGD and Adam they add up.

    Args:
        loss: takes logits (never probabilities) and targets, gives a scalar.
        l2: λ₂.
        l1: λ₁.
        covers: `weights` penalises tensors of two or more axes, and so no biases or norms; `all` penalises everything.
    """

    def __init__(
        self,
        loss: nn.Module,
        l2: NonNegative = 0.0,
        l1: NonNegative = 0.0,
        covers: Literal["weights", "all"] = "weights",
    ) -> None:
        super().__init__()
        self.loss = loss
        self.l2 = l2
        self.l1 = l1
        self.covers = covers

    def forward(self, logits: Tensor, targets: Tensor, net: nn.Module) -> Tensor:
        """Returns the scalar that training minimises.

        Args:
            logits: (N, K).
            targets: int64 (N,).
            net: whose parameters are penalised.
        """
        value: Tensor = self.loss(logits, targets)
        if self.l2:
            value = value + l2_penalty(self._covered(net), self.l2)
        if self.l1:
            value = value + l1_penalty(self._covered(net), self.l1)
        return value

    def _covered(self, net: nn.Module) -> list[Tensor]:
        return [
            parameter
            for parameter in net.parameters()
            if parameter.requires_grad and (self.covers == "all" or parameter.ndim > 1)
        ]


def _total(terms: Iterable[Tensor]) -> Tensor:
    return sum(terms, start=torch.zeros(()))
