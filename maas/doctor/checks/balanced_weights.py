"""Weights that are to be balanced over labels of which one has no training row."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dividing by the rows of a label that has none: its weight, n / (K·0), is no number.

    Source:
        scikit-learn's `compute_class_weight`, which refuses such labels, too.
    """
    if recipe.is_trained_here and not recipe.is_custom_module and recipe.is_unbalanced:
        absent = recipe.absent_labels
        more = f" and {len(absent) - 5} more labels" if len(absent) > 5 else ""
        yield Finding(
            "error",
            "objective.loss",
            f"its weights are to be balanced, and no training row is {', '.join(absent[:5])}{more}.",
            "Add rows of it, leave it out of data.labels, or write the weights as numbers.",
        )
