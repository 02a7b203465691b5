"""Schedules and callbacks that do not fit the run."""

import inspect
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.config import Part, target_of
from maas.config.schema import METRICS
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.scoring.names import is_loss, monitored
from maas.training.callbacks import unusable
from maas.training.recipe import required

NEGLIGIBLE_RATE = 1e-3
"""Fraction of the peak at which a rate is as good as 0; half a cosine falls below it for its last 2 % alone."""
LONGEST_REST = 0.1
"""Fraction of the run that may pass at such a rate."""
MOST_SCHEDULE_STEPS = 50_000
"""Steps that are gone through: half a second; longer runs are not checked."""


def check_schedule(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Running out of learning rate before the run ends, or ending a run that is still warming up.

    Source:
        Hoffmann et al., Training compute-optimal large language models, arXiv:2203.15556, §B: a cosine should be as
        long as the run.
    """
    steps = recipe.total_steps
    if not recipe.is_trained_here or recipe.is_custom_module or not 1 < steps <= MOST_SCHEDULE_STEPS:
        return
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    try:
        schedule = required(recipe.training.schedule, "schedule").call(optimizer, steps)
    except (TypeError, ValueError, LookupError):  # it is made for the net's own groups of parameters
        return
    if isinstance(schedule, ReduceLROnPlateau):
        epochs = recipe.training.trainer_settings.get("max_epochs") or 0
        if 0 < epochs <= schedule.patience:
            what = f"it waits {schedule.patience} epochs for a lower loss, and there are {epochs}."
            yield Finding("warning", "schedule.patience", what, "Lower it, or raise trainer.max_epochs.")
        return
    rates = _rates(optimizer, schedule, steps)
    peak, top = max(rates), rates.index(max(rates))
    rest = next((steps - 1 - step for step in range(steps - 1, -1, -1) if rates[step] > NEGLIGIBLE_RATE * peak), 0)
    if top == steps - 1 and rates[-1] > rates[0]:
        yield Finding(
            "warning",
            "schedule",
            f"the learning rate still rises at the last of {steps} steps.",
            "Make the warm-up shorter than the run, or raise trainer.max_epochs.",
        )
    elif rest > LONGEST_REST * steps:
        yield Finding(
            "warning",
            "schedule",
            f"the learning rate is as good as 0 for the last {rest} of {steps} steps.",
            "Make the schedule as long as the run; it is given the number of steps.",
        )


def _rates(optimizer: SGD, schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


MOST_OF_START = 0.1
"""Fraction that the untrained weights may still have in an average of weights when the run ends."""


def check_callbacks(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Monitoring a misspelt value, stopping when accuracy rises, waiting longer than the run, averaging in the start.

    Source:
        lightning.pytorch.callbacks.EarlyStopping, whose `mode` is `min` by default; Polyak averaging.
    """
    if not recipe.is_trained_here:
        return
    for one in unusable(recipe.training, is_custom_module=recipe.is_custom_module):
        yield Finding("error", one.where, f"it is {one.what}", one.remedy)
    epochs = recipe.training.trainer_settings.get("max_epochs") or 0
    for where, part in recipe.callbacks.items():
        settings = {**_defaults(part), **part}
        monitor, patience = settings.get("monitor"), settings.get("patience")
        if isinstance(monitor, str):
            yield from _misread(recipe, where, monitor, settings.get("mode"))
        if isinstance(patience, int) and 0 < epochs <= patience:
            what = f"it waits {patience} epochs, and there are {epochs}: it never stops anything."
            yield Finding("warning", f"{where}.patience", what, "Lower it, or raise trainer.max_epochs.")
        if "decay" in settings and recipe.total_steps:
            yield from _slow_average(recipe, where, settings)


def _misread(recipe: RecipeUnderCheck, where: str, monitor: str, mode: object) -> Iterator[Finding]:
    metric = recipe.training.metric
    logged = {"train_loss", "validation_loss", *map(str, recipe.task_head.watched(metric).keys())}
    if monitor not in logged and _logs_nothing_else(recipe):
        remedy = f"Set e.g. {where}.monitor={monitored(metric)}."
        what = f"{monitor} is never logged; there are {', '.join(sorted(logged))}."
        yield Finding("error", f"{where}.monitor", what, remedy)
        return
    known = {monitored(one): one for one in (*itertools.chain(*METRICS.values()), metric) if one is not None}
    is_smaller_better = is_loss(known[monitor]) if monitor in known else monitor.endswith("loss")
    wanted = "min" if is_smaller_better else "max" if monitor in known else mode
    if mode in ("min", "max") and mode != wanted:
        better = "more" if wanted == "max" else "less"
        what = f"mode is {mode}, and of {monitor} {better} is better."
        yield Finding("error", f"{where}.mode", what, f"Set {where}.mode={wanted}.")


def _logs_nothing_else(recipe: RecipeUnderCheck) -> bool:
    """Whether all that may log is known: a custom module or callback may log anything."""
    known = all(part.target.partition(".")[0] in ("lightning", "maas") for part in recipe.callbacks.values())
    return known and not recipe.is_custom_module


def _slow_average(recipe: RecipeUnderCheck, where: str, settings: Mapping[str, Any]) -> Iterator[Finding]:
    steps = recipe.total_steps - (settings.get("update_starting_at_step") or 0)
    updates = steps // (settings.get("update_every_n_steps") or 1)
    left = float(settings["decay"]) ** max(0, updates)
    if left > MOST_OF_START and not settings.get("update_starting_at_epoch"):
        yield Finding(
            "warning",
            f"{where}.decay",
            f"after {updates} updates with decay {settings['decay']} the untrained weights still make up {left:.0%}.",
            f"Set {where}.decay={1 - 10 / max(updates, 20):.3g}, or train longer.",
        )


def _defaults(part: Part[object]) -> dict[str, Any]:
    parameters = target_of(part.target)[1].values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
