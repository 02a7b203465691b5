"""Numbers to learn that lie far from where a net begins, or where it cannot come."""

from collections.abc import Iterator

import torch
from torch import Tensor

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

LARGEST_TARGET_SIZE = 100.0
"""Size of targets (root mean square) from which a net that begins near 0 spends its first epochs on getting there."""
PRESSED = 0.01
"""How near a bound outputs of large weights come."""
NEAR = 0.1
"""Size of the first outputs, as a share of the targets', that counts as near 0."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Learning large numbers with a net made for ones, or any numbers through an activation that is bounded.

    Targets are looked at in the unit that the net gives, which is their deviation where `standardize_target` says so.

    Source:
        Bishop, Neural networks for pattern recognition, §8.2: targets, too, are to be rescaled.
    """
    if not recipe.is_trained_here or recipe.config.task != "regression" or recipe.logits is None:
        return
    targets = torch.from_numpy(recipe.task_head.units(recipe.targets("train")))  # type: ignore[attr-defined]
    size, first = _size(targets), _size(recipe.logits)
    if "target_mean" not in recipe.record.arguments and size > LARGEST_TARGET_SIZE and first < NEAR * size:
        yield Finding(
            "warning",
            "model",
            f"the targets' size is {size:.3g}, and the net begins with outputs of {first:.3g}.",
            "Set standardize_target=true, or let the net take target_mean and target_deviation, which are filled in.",
        )
    if recipe.extremes:
        reached = torch.cat([answer.flatten() for answer in recipe.extremes])
        low, high = float(reached.min()), float(reached.max())
        outside = float(((targets < low) | (targets > high)).float().mean())
        if outside and _is_bounded(low, high):
            yield Finding(
                "error",
                "model",
                f"its outputs stay within {low:.3g} and {high:.3g}, and {outside:.0%} of the targets lie outside.",
                "Remove the activation behind the last layer.",
            )


def _is_bounded(low: float, high: float) -> bool:
    """Tells whether outputs of large weights keep to a bound: they press against it, as of a ReLU, sigmoid or tanh."""
    return 0 <= low <= PRESSED or (low >= -1 and 1 - PRESSED <= high <= 1)


def _size(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
