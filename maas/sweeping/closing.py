"""How a sweep ends: a table and a picture of its trials, and the command that continues with the best one."""

import csv
import math
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from maas.errors import ConfigError
from maas.evidence.plots import SweptKey, sweep_picture
from maas.registry.tracking.tracker import Tracker
from maas.scoring.names import is_loss
from maas.searching.dimensions import NumberRange
from maas.sweeping.folder import TrialRecord
from maas.sweeping.plan import PlannedSweep
from maas.sweeping.space import plain

SHOWN_TRIALS = 20
"""Trials that the table on the terminal has at most, the best ones; the file has all."""


def close(trials: Sequence[TrialRecord], plan: PlannedSweep, folder: Path, tracker: Tracker | None) -> None:
    """Writes and shows what a sweep gave.

    Args:
        trials: in the order in which they ended.
        plan: what was swept.
        folder: takes `trials.csv` and `trials.png`.
        tracker: the sweep's MLflow run; None for none.

    Raises:
        ConfigError: no trial went through.
    """
    keys, metric = list(plan.space.written), str(plan.base.metric)
    best = best_trial_of(trials, metric)
    files = [_csv(trials, keys, metric, folder / "trials.csv"), _picture(trials, plan, folder / "trials.png")]
    if tracker is not None:
        for file in files:
            tracker.log_files(file, "sweep")
        tracker.log_values({f"kept_validation_{metric}": float(best.value or 0), "trials": len(trials)})
    console = Console(width=None if os.isatty(1) else 110)
    console.print(table(trials, keys, metric, plan.base.name))
    winner = (
        command(best.overrides, plan.config_dir) if plan.verb == "train" else os.path.relpath(Path(best.run) / "bundle")
    )
    closing = f"\ntrials   {os.path.relpath(folder)}\nbest     {winner}"
    console.print(closing, markup=False, highlight=False, soft_wrap=True)


def command(overrides: Sequence[str], config_dir: str | None) -> str:
    """Returns the command that takes a trial's overrides through the whole line."""
    places = ["-cd", config_dir] if config_dir else []
    return shlex.join(["python", "-m", "maas.run", *places, *overrides])


def best_trial_of(trials: Sequence[TrialRecord], metric: str) -> TrialRecord:
    """Returns the trial with the best value of a metric, of equal ones the first.

    Raises:
        ConfigError: all failed.
    """
    valued = [trial for trial in trials if trial.value is not None]
    if not valued:
        first = trials[0].reason.replace("\n", " ") if trials else "none was begun"
        raise ConfigError(f"None of the {len(trials)} trials went through. The first: {first}")
    return min(valued, key=lambda trial: _rank(trial, metric))


def table(trials: Sequence[TrialRecord], keys: Sequence[str], metric: str, name: str) -> Table:
    """Builds the table: a row a trial, the best one first."""
    numbered = list(enumerate(trials, start=1))
    ranked = sorted(numbered, key=lambda one: _rank(one[1], metric))
    failed = sum(trial.value is None for trial in trials)
    notes = [f"{failed} failed, for reasons in trials.csv"] if failed else []
    notes += [f"{len(trials) - SHOWN_TRIALS} more in trials.csv"] if len(trials) > SHOWN_TRIALS else []
    result = Table(
        title=f"{name}: {len(trials)} trials, {metric} on validation rows",
        caption="; ".join(notes) or None,
    )
    result.add_column("trial", justify="right")
    for key in keys:
        result.add_column(plain(key))
    result.add_column(metric)
    for rank, (number, trial) in enumerate(ranked[:SHOWN_TRIALS]):
        gave = "failed" if trial.value is None else f"{trial.value:.4f}"
        values = (_short(value) for value in values_of(trial, keys))
        result.add_row(str(number), *values, gave, style="bold" if rank == 0 else None)
    return result


def _rank(trial: TrialRecord, metric: str) -> float:
    """Returns a number that is smaller for better trials, and largest for failed ones."""
    if trial.value is None:
        return math.inf
    return trial.value if is_loss(metric) else -trial.value


def values_of(trial: TrialRecord, keys: Sequence[str]) -> list[str]:
    """Returns a trial's values of the swept keys, as its overrides write them."""
    given = dict(one.split("=", 1) for one in trial.overrides if "=" in one)
    return [given.get(key, "") for key in keys]


def _short(value: str) -> str:
    try:
        return value if value.lstrip("-").isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value


def _csv(trials: Sequence[TrialRecord], keys: Sequence[str], metric: str, path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", *map(plain, keys), metric, "reason", "run"])
        for number, trial in enumerate(trials, start=1):
            rows.writerow([number, *values_of(trial, keys), trial.value, trial.reason, trial.run])
    return path


def _picture(trials: Sequence[TrialRecord], plan: PlannedSweep, path: Path) -> Path:
    keys = list(plan.space.written)
    columns = list(zip(*(values_of(trial, keys) for trial in trials), strict=True))
    swept = []
    for key, column in zip(keys, columns, strict=True):
        span = plan.space.dimensions.get(key)
        swept.append(
            SweptKey(plain(key), column, isinstance(span, NumberRange), isinstance(span, NumberRange) and span.is_log)
        )
    metric = str(plan.base.metric)
    best = best_trial_of(trials, metric)
    title = f"{plan.base.name}: {len(trials)} trials, best {best.value:.4f} (trial {trials.index(best) + 1})"
    return sweep_picture([trial.value for trial in trials], swept, metric, title, path)
