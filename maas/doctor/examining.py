"""Examining: every check over one patient, and nothing in this process is left changed."""

import logging
import os
import pkgutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import torch

from maas.config import RunConfig
from maas.data.splits import Splits
from maas.doctor import checks
from maas.doctor.finding import Finding
from maas.doctor.patient import Patient
from maas.errors import ConfigError
from maas.runtime.processors import BaseProcessor
from maas.training.progress import quiet
from maas.training.resuming import random_states, restore_random_states

log = logging.getLogger("maas")


def check_names() -> list[str]:
    """Returns the names of all checks: the files that lie in `checks`."""
    return sorted(module.name for module in pkgutil.iter_modules(checks.__path__))


def examine(config: RunConfig, splits: Splits, processor: BaseProcessor) -> list[Finding]:
    """Looks for classic mistakes in a recipe and its rows, and in a few steps of training on a net of its own.

    A model that is not trained here is judged by its rows alone.

    Args:
        config: the recipe.
        splits: clean rows; of test rows it is only asked whether training has seen them, and which labels they carry.
        processor: fitted on the training rows.

    Returns:
        The errors first.

    Raises:
        ConfigError: a part refused its arguments.
    """
    patient = Patient(config, splits, processor)
    with _untouched():
        found = [
            replace(finding, check=name)
            for name in check_names()
            for finding in import_module(f"{checks.__name__}.{name}").check(patient)
        ]
    return sorted(found, key=lambda finding: finding.severity)


def require_sound(config: RunConfig, splits: Splits, processor: BaseProcessor) -> None:
    """Examines a recipe that is about to be trained here, and logs warnings; one that is not trained passes.

    Raises:
        ConfigError: there are errors, a line each.
    """
    with _untouched():
        if not Patient(config, splits, processor).is_trained_here:
            return
    findings = examine(config, splits, processor)
    for finding in findings:
        if finding.severity == "warning":
            log.warning("%s", finding)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigError("\n".join(errors))


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
            quiet()
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
