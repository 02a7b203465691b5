"""Labels that a split lacks or hardly has."""

from collections.abc import Iterator

import numpy as np

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

FEWEST_ROWS_OF_LABEL = 5
"""Of a label in training: fewer are learnt by heart, if at all."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Having a label that cannot be learnt, or cannot be evaluated.

    Source:
        Japkowicz and Stephen, The class imbalance problem, 2002: absolute rarity hurts more than imbalance.
    """
    labels = recipe.splits.labels
    for name in recipe.by_name if labels else ():
        counts = np.bincount(recipe.targets(name).astype(np.int64), minlength=len(labels))
        absent = [label for label, count in zip(labels, counts, strict=True) if not count]
        rare = [label for label, count in zip(labels, counts, strict=True) if 0 < count < FEWEST_ROWS_OF_LABEL]
        where = f"data, the {name} split"
        if absent and name == "train":
            remedy = "Give rows of it, or leave it out of data.labels."
            yield Finding("warning", where, f"no row is {_listed(absent)}, which thus cannot be learnt.", remedy)
        elif absent:
            remedy = f"Raise data.{name}_fraction, add rows, or join rare labels."
            yield Finding(
                "warning", where, f"no row is {_listed(absent)}, so nobody can tell how well it does.", remedy
            )
        if rare and name == "train":
            remedy = "Add rows, or join rare labels."
            yield Finding("warning", where, f"fewer than {FEWEST_ROWS_OF_LABEL} rows are {_listed(rare)}.", remedy)


def _listed(labels: list[str]) -> str:
    more = f" and {len(labels) - 5} more labels" if len(labels) > 5 else ""
    return f"{', '.join(labels[:5])}{more}"
