"""Gradient descent, and which parameters an optimizer decays. All else are torch's own optimizers."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Optimizer

from maas.bounds import NonNegative, Positive


def gradient_descent(parameters: Iterable[Any], lr: Positive = 0.1, weight_decay: NonNegative = 0.0) -> SGD:
    """θ ← θ − lr·(g + weight_decay·θ), without momentum; with a `batch_size` of all rows, gradient descent proper.

    Args:
        parameters: θ, or groups of them.
        lr: the step's length for a gradient of length 1.
        weight_decay: λ, the same as an explicit L2 term of λ/2 Σθ².
    """
    return SGD(parameters, lr=lr, weight_decay=weight_decay)


def optimizer_of(net: nn.Module, make: Callable[..., Optimizer], decayed: Collection[str]) -> Optimizer:
    """Builds an optimizer over all trainable parameters, whose weight decay leaves some of them alone.

    Where torch offers one kernel for a whole step (`fused`) and the recipe leaves the choice open, that one is taken.

    Args:
        net: to train.
        make: parameters, or groups of them, to an optimizer.
        decayed: names of the parameters that `weight_decay` covers; of the others it is 0.

    Source:
        Biases and gains of norms are a few numbers whose size is no sign of overfitting; decaying them costs accuracy:
        He et al., Bag of tricks, arXiv:1812.01187, §3.1.
    """
    trainable = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
    optimizer = make(list(trainable.values()))
    if optimizer.defaults.get("weight_decay"):
        groups: list[dict[str, Any]] = [
            {"params": [one for name, one in trainable.items() if name in decayed]},
            {"params": [one for name, one in trainable.items() if name not in decayed], "weight_decay": 0.0},
        ]
        optimizer = make([group for group in groups if group["params"]])
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and not group.get("foreach"):
            group["fused"] = True
    return optimizer
