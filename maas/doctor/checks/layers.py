"""Layers that act in training otherwise than in evaluation."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check_modes(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dropping units or normalising by the batch where answers are given, or forgetting to return to training mode.

    Source:
        Karpathy, "most common neural net mistakes", no. 2: "you forgot to toggle train/eval mode for the net".
    """
    if not recipe.is_trained_here:
        return
    if asleep := recipe.smoke_run.asleep:
        yield Finding(
            "warning",
            f"model.{asleep[0]}",
            f"{len(asleep)} module(s) with dropout or batch norm stay in evaluation mode while they are trained.",
            "Call train() on them at the end of __init__, or freeze their weights if that is meant.",
        )
    if recipe.fault is not None and recipe.fault.kind in ("random", "mates"):
        yield Finding("error", "model", recipe.fault.what, recipe.fault.remedy)


def check_batch_norm(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Normalising a batch of one row by itself: its deviation is 0, and its content is subtracted.

    Source:
        Ioffe and Szegedy, Batch normalization, arXiv:1502.03167, §3: statistics are those of a mini-batch.
    """
    if not recipe.is_trained_here or not any(map(_normalises, recipe.net.modules())):
        return
    rows, size, processes = len(recipe.splits.train), recipe.training.batch_size, recipe.processes
    if fewest_rows(rows, size, processes) > 1:
        return
    shared = f" in {processes} processes" if processes > 1 else ""
    which = "each batch" if size == 1 else f"the last batch of {rows} rows by {size}{shared}"
    others = range(size + 1 if size > 1 else 16, size + 1000)
    other = next((one for one in others if fewest_rows(rows, one, processes) > 1), 2 * size)
    yield Finding(
        "error" if size == 1 or _fails_on_one_row(recipe) else "warning",
        "batch_size",
        f"the net has batch norm, and {which} is a single row.",
        f"Set e.g. batch_size={other}, or use another norm.",
    )


def fewest_rows(rows: int, batch_size: int, processes: int) -> int:
    """Returns how many rows the smallest batch of any process has, as `BatchesByLength` shares them."""
    together = batch_size * processes
    last = rows % together
    if last < processes and rows >= together:  # none are left, or too few, which join the batch before
        last += together
    return last // processes


def _normalises(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.training


@torch.no_grad()
def _fails_on_one_row(recipe: RecipeUnderCheck) -> bool:
    try:
        recipe.new_net()(**{name: model_input[:1] for name, model_input in recipe.probe[0].items()})
    except ValueError:  # torch's own, where a channel has a single number
        return True
    return False
