"""A metric that cannot tell a good net from a bad one."""

from collections.abc import Iterator

import numpy as np

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

LARGEST_MAJORITY = 0.95
"""Share of one label from which always answering it looks like a good accuracy."""
FEWEST_VALIDATION_ROWS = 10
"""With fewer, one row moves a share by more than ten points."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Choosing an epoch by a figure that stays as it is: one target to validate on, or accuracy where one label is all.

    Source:
        He and Garcia, Learning from imbalanced data, 2009, §4.1: accuracy is blind to a rare label.
    """
    targets, metric = recipe.targets("validation"), recipe.config.metric
    if metric is None or not len(targets):
        return
    values, counts = np.unique(targets, return_counts=True)
    share = counts.max() / counts.sum()
    if len(values) == 1:
        yield Finding(
            "error",
            "data, the validation split",
            f"all {len(targets)} rows have the same target, so {metric} says nothing.",
            "Raise data.validation_fraction, or see how the rows were split.",
        )
    elif recipe.splits.labels and metric == "accuracy" and share >= LARGEST_MAJORITY:
        label = recipe.splits.labels[int(values[counts.argmax()])]
        yield Finding(
            "warning",
            "metric",
            f"{share:.1%} of the validation rows are {label}: always answering so has an accuracy of {share:.3f}.",
            "Set metric=f1.",
        )
    elif len(targets) < FEWEST_VALIDATION_ROWS:
        remedy = "Raise data.validation_fraction, or add rows."
        yield Finding("warning", "data, the validation split", f"it has {len(targets)} rows.", remedy)
