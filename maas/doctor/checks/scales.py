"""Numbers whose scale is wrong for the type or for the net that learns them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.doctor.finding import Finding, Severity
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.runtime.moments import moments
from maas.runtime.processors.tabular import TabularProcessor
from maas.training.evaluation import NET_ERRORS

FEWEST_STEPS_OF_TYPE = 32
"""Steps of a type in a standard deviation: rounding to 32 adds 1 / (12 · 32²), a ten-thousandth, of the variance."""
LARGEST_TARGET = 1e19
"""Of targets, in the unit that a net learns: float32 ends at 3.4e38, and gradients grow with their square."""
SCALE_ROWS = 2000
"""Rows, evenly spread, whose columns are checked; of targets, all are."""


def check_lost_scale(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Feeding or learning numbers far from 0 in float32, which keeps seven digits, or in bfloat16, which keeps three.

    Source:
        Higham, Accuracy and stability of numerical algorithms, §1.7: subtract an offset before digits are rounded away.
    """
    severity: Severity = "error" if recipe.is_trained_here else "warning"
    for where, values in _columns_as_fed(recipe):
        if rounding := rounded_away(values, torch.float32):
            remedy = "Set processor.standardize=true, or take an offset and unit off the column in the data."
            yield Finding(severity, where, f"{rounding}, which the model is given.", remedy)
    if fault := fault_of_target(recipe):
        yield Finding(severity, "data, the target", *fault)


def fault_of_target(recipe: RecipeUnderCheck) -> tuple[str, str] | None:
    """Says what becomes of numbers to learn in the type that the model answers in, and what to do; None for nothing."""
    if recipe.training.task != "regression" or not len(recipe.targets("train")):
        return None
    targets = recipe.targets("train").astype(np.float64)
    units = recipe.task_head.units(targets)  # type: ignore[attr-defined]  # a regression's
    fault = rounded_away(units, _type_of_outputs(recipe))
    size = float(np.abs(units).max())
    if fault:
        fault = f"{fault}, which the model answers in."
    elif recipe.is_trained_here and size > LARGEST_TARGET:
        fault = f"it reaches {size:.3g}, whose square, and so the gradient, is beyond float32."
    else:
        return None
    remedy = "take an offset and unit off the target in the data."
    can_be_set = recipe.is_trained_here and not recipe.is_custom_module
    return fault, f"Set standardize_target=true, or {remedy}" if can_be_set else remedy.capitalize()


def rounded_away(values: NDArray[np.float64], kind: torch.dtype) -> str | None:
    """Says how far apart a type's numbers lie where the values differ by little more; None where they fit.

    Args:
        values: (N,), of which NaN are left out.
        kind: a floating-point type.
    """
    present = values[np.isfinite(values)]
    if not present.size or present.min() == present.max():
        return None
    largest, name = float(np.abs(present).max()), str(kind).removeprefix("torch.")
    if largest > torch.finfo(kind).max:
        return f"it reaches {largest:.3g}, beyond the numbers of {name}"
    step = max(torch.finfo(kind).eps * 2.0 ** math.floor(math.log2(largest)), torch.finfo(kind).smallest_normal)
    mean, deviation = moments(present)
    if deviation >= FEWEST_STEPS_OF_TYPE * step:
        return None
    return f"it deviates by {deviation:.3g} around {mean:.6g}, where numbers lie {step:.3g} apart in {name}"


def _columns_as_fed(recipe: RecipeUnderCheck) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yields where each column of numbers stands, and its values, of processors that hand them on as they come."""
    processor, rows = recipe.processor, recipe.splits.train.spread(SCALE_ROWS).inputs
    if getattr(processor, "standardize", True) or getattr(processor, "double", False) or not len(rows):
        return
    if isinstance(processor, TabularProcessor):
        table = np.asarray(processor.arrays(rows))
        yield from (
            (f"processor, column {name}", table[:, i]) for i, name in enumerate(processor.settings()["numbers"])
        )
    else:
        table = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
        yield from ((f"processor, value {index}", column) for index, column in enumerate(table.T))


def _type_of_outputs(recipe: RecipeUnderCheck) -> torch.dtype:
    """Returns the type that a net's outputs have in training; imported models answer in float32."""
    precision = str(recipe.training.trainer_settings.get("precision") or "32-true")
    if not recipe.is_trained_here or recipe.is_custom_module or "16" not in precision:
        return torch.float64 if recipe.is_trained_here and precision.startswith("64") else torch.float32
    kind = torch.bfloat16 if precision.startswith("bf16") else torch.float16
    if "true" in precision:
        return kind
    found = _answered(recipe.net, recipe.probe[0], kind)
    return torch.float32 if found is None else found.dtype


@torch.no_grad()
def _answered(net: nn.Module, model_inputs: Mapping[str, Tensor], kind: torch.dtype) -> Tensor | None:
    try:
        with torch.autocast("cpu", kind) if kind is torch.bfloat16 else nullcontext():
            found = net(**model_inputs)
    except NET_ERRORS:
        return None
    return found if isinstance(found, Tensor) else None


LARGEST_TARGET_SIZE = 100.0
"""Size of targets (root mean square) from which a net that begins near 0 spends its first epochs on getting there."""
PRESSED = 0.01
"""How near a bound outputs of large weights come."""
NEAR = 0.1
"""Size of the first outputs, as a fraction of the targets', that counts as near 0."""


def check_target_scale(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Learning large numbers with a net made for ones, or any numbers through an activation that is bounded.

    Targets are taken in the unit that the net gives, which is their deviation where `standardize_target` is true.

    Source:
        Bishop, Neural networks for pattern recognition, §8.2: targets, too, are to be rescaled.
    """
    if not recipe.is_trained_here or recipe.training.task != "regression" or recipe.logits is None:
        return
    targets = torch.from_numpy(recipe.task_head.units(recipe.targets("train")))  # type: ignore[attr-defined]
    size, first = _size(targets), _size(recipe.logits)
    if "target_mean" not in recipe.record.arguments and size > LARGEST_TARGET_SIZE and first < NEAR * size:
        yield Finding(
            "warning",
            "model",
            f"the targets' size is {size:.3g}, and the net begins with outputs of {first:.3g}.",
            "Set standardize_target=true, or let the net take target_mean and target_deviation, which are filled in.",
        )
    if recipe.extremes:
        reached = torch.cat([outputs.flatten() for outputs in recipe.extremes])
        low, high = float(reached.min()), float(reached.max())
        outside = float(((targets < low) | (targets > high)).float().mean())
        if outside and _is_bounded(low, high):
            yield Finding(
                "error",
                "model",
                f"its outputs stay within {low:.3g} and {high:.3g}, and {outside:.0%} of the targets lie outside.",
                "Remove the activation after the last layer.",
            )


def _is_bounded(low: float, high: float) -> bool:
    """Whether outputs of large weights keep to a bound: they press against it, as of a ReLU, sigmoid or tanh."""
    return 0 <= low <= PRESSED or (low >= -1 and 1 - PRESSED <= high <= 1)


def _size(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
