"""A learning rate that diverges, or that moves nothing."""

import math
from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

DIVERGED_RISE = 4.0
"""How many times its start the loss may be: where fastai's range test stops, too."""
SMALLEST_CHANGE = 1e-3
"""Of any weight over the whole run, as a share of its size, if every step went the same way."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Asking for steps that overshoot, or for steps that are lost in rounding.

    Source:
        Smith, Cyclical learning rates, arXiv:1506.01186, §3.3; ratios of updates to weights: Stanford CS231n, Learning.
    """
    if not recipe.is_trained_here or recipe.smoke_run.error or len(recipe.smoke_run.losses) < 2:
        return
    losses, where = recipe.smoke_run.losses, "model" if recipe.is_custom_module else "optimizer.lr"
    lr = "" if recipe.optimizer is None else f" of {recipe.optimizer.defaults['lr']:g}"
    first, worst = losses[0], _worst(losses, is_number=recipe.task_head.target == "number")
    change = recipe.smoke_run.change * recipe.total_steps
    if math.isfinite(first) and (not math.isfinite(worst) or worst > DIVERGED_RISE * max(abs(first), 1e-3)):
        yield Finding(
            "error",
            where,
            f"with a learning rate{lr} the loss goes from {first:.3g} to {worst:.3g} within {len(losses)} steps.",
            "Set a rate that is at least 10 times smaller.",
        )
    elif recipe.total_steps and change < SMALLEST_CHANGE:
        yield Finding(
            "warning",
            where,
            f"with a learning rate{lr} no weight can change by more than {change:.2g} of its size in the whole run.",
            "Set a rate that is 10 to 1000 times larger.",
        )


def _worst(losses: list[float], *, is_number: bool) -> float:
    """Returns the loss that the first is compared with.

    Of numbers, a batch with an outlier may have any loss: only what no batch of the last quarter is below has diverged.
    """
    ranked = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return min(ranked[-max(2, len(losses) // 4) :]) if is_number else max(ranked)
