"""Logits and targets that do not fit, and losses that are no number."""

import math
from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.training.output_check import error_line

WARNED = "Using a target size"
"""How torch begins to warn of losses between unequal shapes."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Letting (N, 1) meet (N,): the difference is N×N, the loss falls, and every answer becomes the mean.

    Source:
        The broadcasting rules, docs.pytorch.org/docs/stable/notes/broadcasting.html; torch warns of it in its own
        losses alone.
    """
    if not recipe.is_trained_here:
        return
    fault, smoke_run = recipe.fault, recipe.smoke_run
    if fault is not None and fault.kind == "form":
        yield Finding("error", "model", fault.what, fault.remedy)
    elif smoke_run.squares or any(WARNED in warning for warning in smoke_run.warned):
        yield Finding(
            "error",
            "model" if recipe.is_custom_module else "objective.loss",
            "outputs (N, 1) meet targets (N,) in the loss, which silently compares every row with every other.",
            "Take outputs.squeeze(1), so that both are (N,).",
        )
    elif smoke_run.error is not None and "deterministic" not in str(smoke_run.error):
        yield Finding(
            "warning" if recipe.is_custom_module else "error",
            "model",
            f"step {len(smoke_run.losses) + 1} of training fails: {error_line(smoke_run.error)}.",
            "Mend the net or the objective; the loss must be one number of a batch's logits (N, K) and targets (N,).",
        )
    elif smoke_run.losses and not math.isfinite(smoke_run.losses[0]):
        yield Finding(
            "error",
            "objective",
            f"the first loss is {smoke_run.losses[0]}, before anything was learnt.",
            "Look for logarithms of 0, roots of negative numbers, and missing values in the data.",
        )
