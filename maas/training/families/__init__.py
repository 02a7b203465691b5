"""Families: what a task brings to training and export. One task, one file with a class `Family`."""

import importlib
from collections.abc import Sequence

from maas.training.families.base import BaseFamily

__all__ = ["BaseFamily", "family_of"]


def family_of(task: str, labels: Sequence[str]) -> BaseFamily:
    """Returns the family of a task.

    Args:
        task: its name in a recipe.
        labels: the K names; none where targets are no labels.
    """
    family: BaseFamily = importlib.import_module(f"{__name__}.{task}").Family(tuple(labels))
    return family
