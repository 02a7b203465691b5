"""Task heads: what a task brings to training and export.

One task, one file a_name.py with a class `ANameHead`.
"""

import importlib
from collections.abc import Sequence

from maas.training.heads.base import TaskHead

__all__ = ["TaskHead", "task_head_of"]


def task_head_of(task: str, labels: Sequence[str]) -> TaskHead:
    """Returns the head of a task.

    Args:
        task: its name in a recipe.
        labels: the K names; none where targets are no labels.
    """
    kind: type[TaskHead] = getattr(
        importlib.import_module(f"{__name__}.{task}"), f"{task.title().replace('_', '')}Head"
    )
    return kind(tuple(labels))
