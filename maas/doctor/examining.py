"""Examining: every check over one recipe, and nothing in this process is left changed."""

import logging
import os
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module

import torch

from maas.data.splits import Splits
from maas.doctor import checks
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.training.progress import quiet_lightning
from maas.training.recipe import TrainingRecipe
from maas.training.resuming import random_states, restore_random_states

log = logging.getLogger("maas")
Check = Callable[[RecipeUnderCheck], Iterator[Finding]]
OF_ANY_MODEL = ("lost_scale",)
"""Checks that are made of a model that is not trained here, too: they look at its rows alone."""

OF_LOGITS_A_ROW = (
    "batch_norm",
    "dead_metric",
    "dead_outputs",
    "double_activation",
    "inputs",
    "lost_state",
    "modes",
    "shapes",
    "target_scale",
    "vocabulary",
)
"""Checks of nets that give K logits a row; they are not made of one that gives logits at each token."""


def check_names() -> list[str]:
    """Returns the names of all checks, in their order."""
    return sorted(all_checks())


@cache
def all_checks() -> Mapping[str, Check]:
    """Returns the checks by name: the functions `check_NAME` of the files that lie in `checks`."""
    files = [import_module(f"{checks.__name__}.{file.name}") for file in pkgutil.iter_modules(checks.__path__)]
    return {
        name.removeprefix("check_"): value
        for file in files
        for name, value in vars(file).items()
        if name.startswith("check_") and value.__module__ == file.__name__
    }


def examine(recipe: TrainingRecipe, splits: Splits, processor: Processor) -> list[Finding]:
    """Looks for classic mistakes in a recipe and its rows, and in a few steps of training on a net of its own.

    A model that is not trained here is checked by its rows alone.

    Args:
        recipe: what the net is trained by.
        splits: clean rows; of test rows, only whether training has seen them, and which labels they carry.
        processor: fitted on the training rows.

    Returns:
        The errors first.

    Raises:
        ConfigError: a part refused its arguments.
    """
    with _untouched():
        checked = RecipeUnderCheck(recipe, splits, processor)
        return _found(checked, _that_apply(checked))


def require_sound(recipe: TrainingRecipe, splits: Splits, processor: Processor) -> None:
    """Examines a recipe that is about to be trained here, and logs warnings.

    A model that is not trained here is only checked for whether float32 keeps apart its inputs and its outputs.

    Raises:
        ConfigError: there are errors, a line each.
    """
    with _untouched():
        checked = RecipeUnderCheck(recipe, splits, processor)
        findings = _found(checked, _that_apply(checked) if checked.is_trained_here else OF_ANY_MODEL)
    for finding in findings:
        if finding.severity == "warning":
            log.warning("%s", finding)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigError("\n".join(errors)) from checked.net_error


def _that_apply(recipe: RecipeUnderCheck) -> list[str]:
    """Returns the names of the checks that understand what a recipe's net gives."""
    return [name for name in check_names() if not (recipe.is_generative and name in OF_LOGITS_A_ROW)]


def _found(recipe: RecipeUnderCheck, names: Sequence[str]) -> list[Finding]:
    """Returns what the checks of these names find, the errors first."""
    found = [replace(finding, check=name) for name in names for finding in all_checks()[name](recipe)]
    return sorted(found, key=lambda finding: finding.severity)


@contextmanager
def _untouched() -> Iterator[None]:
    """Takes back what building and training a net change: random states, torch's switches, environment, logging."""
    random, environment, level = random_states(), dict(os.environ), log.level
    deterministic, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark, gradients, dtype = torch.backends.cudnn.benchmark, torch.is_grad_enabled(), torch.get_default_dtype()
    lightning = logging.getLogger("lightning.pytorch").level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quiet_lightning()
            yield
    finally:
        restore_random_states(random)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmark
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        log.setLevel(level)
        logging.getLogger("lightning.pytorch").setLevel(lightning)
