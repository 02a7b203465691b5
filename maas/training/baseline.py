"""A baseline that is another recipe: its net, trained on the same rows, answers the same test rows."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from maas.config import compose
from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.runtime.postprocessors import load_postprocessor
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import fit_recipe
from maas.training.heads import task_head_of
from maas.training.recipe import TrainingRecipe


def recipe(name: str, overrides: Sequence[str] = ()) -> Callable[[Splits], NDArray[Any]]:
    """Trains another recipe, from its processor to its best epoch, with its own settings.

    Its data part is left aside: it learns from the rows that the model beside it learnt from, chooses its epoch on the
    same validation rows, and sees the inputs of the test rows alone.

    Args:
        name: of a recipe, or the path of a recipe file.
        overrides: `key=value`, as on the command line, e.g. `seed=1`.

    Raises:
        ConfigError: there is no such recipe, or it learns another kind of target than the rows carry.
    """
    other = TrainingRecipe.of(compose(name, *overrides))

    def fit_and_predict(splits: Splits) -> NDArray[Any]:
        processor = other.fitted_processor(splits.train.inputs)
        task_head = task_head_of(other.task, splits.labels)
        if task_head.target != splits.target:
            raise ConfigError(
                f"baseline {name} learns from rows with a {task_head.target}, and these rows carry a {splits.target}. "
                "Name another recipe, or set baseline=null."
            )
        with tempfile.TemporaryDirectory() as scratch:
            fitted = fit_recipe(other, splits, processor, Path(scratch))
        postprocessor = load_postprocessor(fitted.task_head.postprocessor_record(len(splits.labels)))
        found = scores_of(
            run_of(fitted.model, task_head, postprocessor.output), postprocessor, processor, splits.test.inputs
        )
        return found if splits.labels else found[:, 0]

    return fit_and_predict
