"""A schedule that does not fit the run."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.config import build
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

NEGLIGIBLE_RATE = 1e-3
"""Share of the peak at which a rate is as good as 0; half a cosine falls below it for its last 2 % alone."""
LONGEST_REST = 0.1
"""Share of the run that may pass at such a rate."""
MOST_SCHEDULE_STEPS = 50_000
"""Steps that are gone through: half a second; longer runs are not checked."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Running out of learning rate before the run ends, or ending a run that is still warming up.

    Source:
        Hoffmann et al., Training compute-optimal large language models, arXiv:2203.15556, §B: a cosine should be as
        long as the run.
    """
    steps = recipe.total_steps
    if not recipe.is_trained_here or recipe.is_custom_module or not 1 < steps <= MOST_SCHEDULE_STEPS:
        return
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    try:
        schedule = build({**recipe.config.schedule, "_partial_": True}, "schedule")(optimizer, steps)
    except (TypeError, ValueError, LookupError):  # it is made for the net's own groups of parameters
        return
    if isinstance(schedule, ReduceLROnPlateau):
        epochs = recipe.config.trainer.get("max_epochs") or 0
        if 0 < epochs <= schedule.patience:
            what = f"it waits {schedule.patience} epochs for a lower loss, and there are {epochs}."
            yield Finding("warning", "schedule.patience", what, "Lower it, or raise trainer.max_epochs.")
        return
    rates = _rates(optimizer, schedule, steps)
    peak, top = max(rates), rates.index(max(rates))
    rest = next((steps - 1 - step for step in range(steps - 1, -1, -1) if rates[step] > NEGLIGIBLE_RATE * peak), 0)
    if top == steps - 1 and rates[-1] > rates[0]:
        yield Finding(
            "warning",
            "schedule",
            f"the learning rate still rises at the last of {steps} steps.",
            "Make the warm-up shorter than the run, or raise trainer.max_epochs.",
        )
    elif rest > LONGEST_REST * steps:
        yield Finding(
            "warning",
            "schedule",
            f"the learning rate is as good as 0 for the last {rest} of {steps} steps.",
            "Make the schedule as long as the run; it is told the number of steps.",
        )


def _rates(optimizer: SGD, schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates
