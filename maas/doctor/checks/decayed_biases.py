"""Biases and norms that are shrunk."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Shrinking parameters whose size is no sign of overfitting: biases, and gains of norms, which begin at 1.

    Source:
        He et al., Bag of tricks, arXiv:1812.01187, §3.1.
    """
    if not recipe.is_trained_here:
        return
    if names := recipe.smoke_run.decayed:
        where = "model" if recipe.is_custom_module else "optimizer.weight_decay"
        groups = "Give the optimizer two groups, the one of biases and norms with weight_decay=0"
        remedy = (
            f"{groups}." if recipe.is_custom_module else f"Set objective.covers=weights. {groups}, if it makes its own."
        )
        yield Finding("warning", where, f"weight decay also shrinks {_listed(names)}.", remedy)
    if not recipe.is_custom_module and recipe.objective.is_penalised:
        covered = recipe.objective.covered(recipe.net)
        if flat := [name for name, one in covered.items() if one.ndim < 2]:
            remedy = "Set objective.covers=weights."
            yield Finding("warning", "objective.covers", f"the penalty also shrinks {_listed(flat)}.", remedy)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more biases and norms" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
