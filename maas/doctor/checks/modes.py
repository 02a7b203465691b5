"""Layers that train while a net is evaluated, or do not while it is trained."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dropping units or normalising by the batch where answers are given, or forgetting to return to training mode.

    Source:
        Karpathy, "most common neural net mistakes", no. 2: "you forgot to toggle train/eval mode for the net".
    """
    if not recipe.is_trained_here:
        return
    if asleep := recipe.smoke_run.asleep:
        yield Finding(
            "warning",
            f"model.{asleep[0]}",
            f"{len(asleep)} module(s) with dropout or batch norm stay in evaluation mode while they are trained.",
            "Call train() on them at the end of __init__, or freeze their weights if that is meant.",
        )
    if recipe.fault is not None and recipe.fault.kind in ("random", "mates"):
        yield Finding("error", "model", recipe.fault.what, recipe.fault.remedy)
