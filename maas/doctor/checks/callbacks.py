"""Callbacks that have no effect here, watch what nobody logs, watch it wrongly, or take longer than the run."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from maas.config import target_of
from maas.config.schema import METRICS
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.training.callbacks import unusable

MOST_OF_START = 0.1
"""Share that the untrained weights may still have in an average of weights when the run ends."""
SMALLER_IS_BETTER = ("loss", "mae", "rmse")


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Monitoring a misspelt value, stopping when accuracy rises, waiting longer than the run, averaging in the start.

    Source:
        lightning.pytorch.callbacks.EarlyStopping, whose `mode` is `min` unless said otherwise; Polyak averaging.
    """
    if not recipe.is_trained_here:
        return
    for one in unusable(recipe.config, is_custom_module=recipe.is_custom_module):
        yield Finding("error", one.where, f"it is {one.what}", one.remedy)
    epochs = (recipe.config.trainer or {}).get("max_epochs") or 0
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


def _misread(recipe: RecipeUnderCheck, where: str, monitor: str, mode: Any) -> Iterator[Finding]:
    logged = {"train_loss", "validation_loss", *map(str, recipe.task_head.metrics().clone(prefix="validation_").keys())}
    if monitor not in logged and _logs_nothing_else(recipe):
        remedy = f"Set e.g. {where}.monitor=validation_{recipe.config.metric}."
        what = f"{monitor} is never logged; there are {', '.join(sorted(logged))}."
        yield Finding("error", f"{where}.monitor", what, remedy)
        return
    known = {f"validation_{metric}" for metrics in METRICS.values() for metric in metrics}
    wanted = "max" if monitor in known else "min" if monitor.endswith(SMALLER_IS_BETTER) else mode
    if mode in ("min", "max") and mode != wanted:
        better = "more" if wanted == "max" else "less"
        what = f"mode is {mode}, and of {monitor} {better} is better."
        yield Finding("error", f"{where}.mode", what, f"Set {where}.mode={wanted}.")


def _logs_nothing_else(recipe: RecipeUnderCheck) -> bool:
    """Tells whether all that may log is known: a custom module or callback may log anything."""
    known = all(part["_target_"].partition(".")[0] in ("lightning", "maas") for part in recipe.callbacks.values())
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


def _defaults(part: Mapping[str, Any]) -> dict[str, Any]:
    parameters = target_of(part["_target_"])[1].values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
