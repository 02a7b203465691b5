"""A net whose answers do not depend on its rows, or that begins sure of itself."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from maas.doctor.checks.lost_scale import fault_of_target
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

SAME = 1e-6
"""Spread of the outputs over the rows, as a share of their size: float32's rounding."""
FARTHEST = 2.0
"""How many times ln K the first loss may be: a head of the usual initialisation begins near it."""
BALANCED = 2.0
"""How many times its equal share the commonest label may have."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dead units that block every row alike, or logits so large that training begins by unlearning them.

    A head that begins at 0 gives equal outputs at first; what counts is whether they stay so in a few steps.

    Source:
        Karpathy, A recipe for training neural networks, 2019: "verify loss @ init"; dead units: Lu et al.,
        arXiv:1903.06733.
    """
    if not recipe.is_trained_here or recipe.logits is None or len(recipe.logits) < 2:
        return
    after = recipe.smoke_run.logits
    if _are_same(recipe.logits) and (after is None or _are_same(after)) and not fault_of_target(recipe):
        yield Finding(
            "error",
            "model",
            f"it gives the same outputs for {len(recipe.logits)} different rows, and still after a few steps.",
            "Look for dead ReLUs, inputs scaled to nothing, and a forward that does not use its input.",
        )
    loss, usual = _first_loss(recipe, recipe.logits), math.log(max(2, len(recipe.splits.labels)))
    if loss is not None and loss > FARTHEST * usual:
        yield Finding(
            "warning",
            "model",
            f"the first cross-entropy is {loss:.3g}; guessing has {usual:.3g}, and the labels are balanced.",
            "Begin with a smaller head, and look at the scale of its inputs.",
        )


def _are_same(outputs: Tensor) -> bool:
    spread = (outputs.amax(dim=0) - outputs.amin(dim=0)).max()
    return bool(spread <= SAME * (1 + outputs.abs().max())) if outputs.isfinite().all() else False


def _first_loss(recipe: RecipeUnderCheck, logits: Tensor) -> float | None:
    """Returns the cross-entropy of balanced labels; None where they are not, or outputs are no logits of theirs.

    Before any step a batch norm has no averages yet, so that the loss in training mode counts where it is smaller.
    """
    labels, targets = recipe.splits.labels, recipe.probe[1]
    width = 1 if recipe.config.task == "binary" else len(labels)
    if not labels or tuple(logits.shape) != (len(targets), width):
        return None
    if np.bincount(recipe.targets("train")).max() > BALANCED / len(labels) * len(recipe.splits.train):
        return None
    pairs = torch.cat([torch.zeros_like(logits), logits], dim=1) if width == 1 else logits
    return min([float(functional.cross_entropy(pairs, targets)), *recipe.smoke_run.losses[:1]])
