"""A recipe whose training ends once a profiler has seen enough."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from maas.config import Part
from maas.data.splits import Splits
from maas.training import processes
from maas.training.recipe import TrainingRecipe

STEPS_S = 6.0
"""Of training steps are enough."""
VALIDATED_ROWS = 512
"""Rows that are validated on, where a batch is no larger."""
REPLACED_SETTINGS = ("min_epochs", "min_steps", "check_val_every_n_epoch", "val_check_interval")
"""Settings of a trainer that would keep the dry run from ending, or from validating when it does."""


def world_of(trainer: Mapping[str, Any]) -> int:
    """Returns how many processes will train together."""
    devices, is_cpu = trainer.get("devices", "auto"), trainer.get("accelerator") == "cpu"
    if isinstance(devices, str) and devices.isdigit():
        devices = int(devices)
    if isinstance(devices, list | tuple):
        devices = len(devices)
    if not isinstance(devices, int) or devices < 1:
        devices = 1 if is_cpu else max(1, torch.cuda.device_count())
    return int(trainer.get("num_nodes", 1)) * devices


def validations_of(trainer: Mapping[str, Any], batches: int) -> float:
    """Returns how often an epoch of so many batches is validated, on average."""
    interval, every = trainer.get("val_check_interval", 1.0), trainer.get("check_val_every_n_epoch", 1)
    if not isinstance(interval, int | float):
        return 1.0  # an interval of time
    in_epoch = batches / interval if isinstance(interval, int) else 1 / interval
    return float(in_epoch if every is None else max(1, int(in_epoch)) / every)


def shortened_recipe(recipe: TrainingRecipe, splits: Splits, out: Path, world: int) -> TrainingRecipe:
    """Returns the recipe with a profiler, in one process, and without pretraining.

    Args:
        recipe: what the net is trained by.
        splits: its rows.
        out: where the profiler writes.
        world: processes that would train together.
    """
    if recipe.trainer is None:
        return replace(recipe, pretrain=None)
    kept = {key: value for key, value in processes.alone(recipe.trainer).items() if key not in REPLACED_SETTINGS}
    batches = -(-len(splits.validation) // recipe.batch_size)
    wanted = kept.get("limit_val_batches", 1.0)
    allowed = wanted if isinstance(wanted, int) else int(batches * (1.0 if wanted is None else wanted))
    limit = min(allowed, max(1, VALIDATED_ROWS // recipe.batch_size))
    validations = validations_of(recipe.trainer, -(-len(splits.train) // (recipe.batch_size * world)))
    profiler: Part[Callback] = Part(
        "maas.planning.profiler.LoopProfiler",
        {
            "out": str(out),
            "seconds": STEPS_S,
            "world": world,
            "validations": validations * min(1.0, allowed / batches),
        },
        "callbacks.profiler",
    )
    return replace(
        recipe,
        pretrain=None,
        trainer=replace(recipe.trainer, arguments={**kept, "limit_val_batches": limit}),
        callbacks={**recipe.callbacks, "profiler": profiler},
    )
