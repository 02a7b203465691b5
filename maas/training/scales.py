"""Who brings a target to mean 0 and deviation 1: the task, in float64, or the net itself, if anybody."""

from lightning.pytorch import LightningModule

from maas.config.standardizing import OF_TARGET, leaves_scale
from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.importing.base import ImportedModel
from maas.training.heads import TaskHead, task_head_of
from maas.training.recipe import TrainingRecipe


def task_head_for(recipe: TrainingRecipe, splits: Splits) -> TaskHead:
    """Returns the task head of a recipe's task, with the scale that its net learns the training targets in.

    Raises:
        ConfigError: the rows carry other targets than the task learns.
    """
    task_head = task_head_of(recipe.task, splits.labels)
    if task_head.target not in ("none", splits.target):
        raise ConfigError(
            f"task {task_head.task} learns from rows with a {task_head.target}; data.target is {splits.target}. Set "
            f"data.target={task_head.target}, or another task."
        )
    return task_head.standardized(splits.train) if standardizes_target(recipe) else task_head


def standardizes_target(recipe: TrainingRecipe) -> bool:
    """Whether a recipe's net learns its target in units of deviation around the mean.

    Where the recipe leaves it open, a net that maas trains does so if it takes both `target_mean` and
    `target_deviation`.
    """
    if recipe.standardize_target is not None:
        return recipe.standardize_target
    target = recipe.model.imported()
    is_trained_here = isinstance(target, type) and not issubclass(target, ImportedModel | LightningModule)
    return is_trained_here and recipe.trainer is not None and leaves_scale(recipe.model, OF_TARGET)


def require_unit(recipe: TrainingRecipe, model: object) -> None:
    """Raises ConfigError where a recipe sets a scale that a model does not use: it has learnt, or trains itself."""
    if recipe.standardize_target and (recipe.trainer is None or isinstance(model, ImportedModel | LightningModule)):
        raise ConfigError(
            f"standardize_target is true, and {type(model).__name__} comes trained or trains itself, in the target's "
            "own unit. Set standardize_target=null."
        )
