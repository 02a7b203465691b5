"""Learning rates over the steps of a run. A schedule takes the optimizer and the number of steps.

A `ReduceLROnPlateau` is stepped with each epoch's validation loss, every other schedule after each step.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from maas.bounds import Count, Fraction, NonNegative, Positive, PositiveFraction


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:  # noqa: ARG001 - every schedule takes the length
    """The optimizer's own learning rate at every step."""
    return LambdaLR(optimizer, lambda _: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, warmup_fraction: Fraction = 0.05, final_fraction: Fraction = 0.0
) -> LambdaLR:
    """Rises linearly from 0, then falls along half a cosine.

    Args:
        optimizer: whose `lr` is the peak.
        total_steps: of the whole run.
        warmup_fraction: fraction of the steps that rise.
        final_fraction: fraction of the peak that is left at the end.

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


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: PositiveFraction = 0.3,
    initial_divisor: Positive = 25.0,
    final_divisor: Positive = 1e4,
) -> OneCycleLR:
    """Rises from a small rate along half a cosine, then falls along another to nearly nothing.

    Args:
        optimizer: whose `lr` is the peak; its momentum stays as it is.
        total_steps: of the whole run.
        warmup_fraction: fraction of the steps that rise.
        initial_divisor: the first rate is the peak divided by this.
        final_divisor: the last rate is the first divided by this.

    Source:
        Smith and Topin, Super-convergence, arXiv:1708.07120.
    """
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps + 1,  # torch steps once more after the last one
        pct_start=warmup_fraction,
        div_factor=initial_divisor,
        final_div_factor=final_divisor,
        cycle_momentum=False,
    )


def plateau(
    optimizer: Optimizer,
    total_steps: int,  # noqa: ARG001 - every schedule takes the length
    factor: PositiveFraction = 0.1,
    patience: Count = 3,
    lowest: NonNegative = 0.0,
) -> ReduceLROnPlateau:
    """Lowers the rate where the validation loss no longer falls.

    Args:
        optimizer: whose `lr` is the first rate.
        total_steps: of the whole run.
        factor: what the rate is multiplied with.
        patience: epochs without a lower loss that are tolerated.
        lowest: rate.
    """
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience, min_lr=lowest)
