"""Learning rates over the steps of a run. A schedule takes the optimizer and the number of steps."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from maas.bounds import Fraction


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:  # noqa: ARG001 - every schedule is told the length
    """The optimizer's own learning rate at every step."""
    return LambdaLR(optimizer, lambda _: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, warmup_fraction: Fraction = 0.05, final_fraction: Fraction = 0.0
) -> LambdaLR:
    """Rises linearly from 0, then falls along half a cosine.

    Args:
        optimizer: whose `lr` is the peak.
        total_steps: of the whole run.
        warmup_fraction: share of the steps that rise.
        final_fraction: share of the peak that is left at the end.

    Source:
        Loshchilov and Hutter, SGDR, arXiv:1608.03983, eq. 5.
    """
    warmup = round(total_steps * warmup_fraction)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, total_steps - warmup)
        return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * min(1.0, progress))) / 2

    return LambdaLR(optimizer, factor)
