"""Runs that cannot be repeated or gone on with exactly."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from maas.config import build
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Requiring determinism of operations that have none, or drawing from a generator that no checkpoint holds.

    Source:
        docs.pytorch.org/docs/stable/notes/randomness.html; training checkpoints hold the global generators' states.
    """
    if not recipe.is_trained_here:
        return
    error = recipe.smoke_run.error
    if error is not None and "deterministic" in str(error):
        yield Finding(
            "error",
            "trainer.deterministic",
            f"a step needs an operation that is not deterministic: {str(error).split('.')[0]}.",
            "Use another operation, or set trainer.deterministic=false.",
        )
    for name, module in recipe.net.named_modules():
        yield from _own_generators(f"model.{name}" if name else "model", module)
    if recipe.config.augment is not None and not recipe.is_custom_module:
        yield from _own_generators("augment", build(recipe.config.augment, "augment"))
    if (
        not recipe.is_custom_module
        and recipe.config.trainer.get("benchmark")
        and recipe.config.trainer.get("deterministic")
    ):
        yield Finding(
            "warning",
            "trainer.benchmark",
            "cuDNN chooses its algorithms by timing them, which trainer.deterministic forbids.",
            "Leave trainer.benchmark out.",
        )


def _own_generators(where: str, owner: Any) -> Iterator[Finding]:
    for name, value in getattr(owner, "__dict__", {}).items():
        if isinstance(value, GENERATORS):
            yield Finding(
                "warning",
                f"{where}.{name}",
                "it draws from a generator of its own, which a killed run cannot go on with.",
                "Draw from torch's global generator, which training checkpoints hold.",
            )
