"""Gradients that explode or vanish at the start."""

import math
from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

LARGEST_GRADIENT = 1e4
"""Of a gradient, in units of the loss where numbers are learnt: no usual initialisation comes near."""
SMALLEST_GRADIENT = 1e-8
"""Adam adds as much to each gradient's size before it divides by it."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Beginning where there is no slope, or a cliff.

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010; Pascanu et
        al., arXiv:1211.5063.
    """
    if not recipe.is_trained_here or not recipe.smoke_run.gradient_norms:
        return
    norm = recipe.smoke_run.gradient_norms[0]
    loss = abs(recipe.smoke_run.losses[0]) if recipe.smoke_run.losses else 1.0
    unit = max(1.0, loss) if recipe.task_head.target == "number" else 1.0
    if not math.isfinite(norm):
        what, remedy = "is not finite", "Look for divisions by 0 and roots of 0 in forward and in the loss."
    elif norm > LARGEST_GRADIENT * unit:
        what = f"has a length of {norm:.2g} at a loss of {loss:.3g}"
        remedy = "Normalise the inputs, begin with smaller weights, or set trainer.gradient_clip_val=1.0."
    elif norm < SMALLEST_GRADIENT:
        what = f"has a length of {norm:.2g}"
        remedy = "Begin with larger weights, and look for saturated activations and detach() in forward."
    else:
        return
    yield Finding("error" if not math.isfinite(norm) else "warning", "model", f"the first gradient {what}.", remedy)
