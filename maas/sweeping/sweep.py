"""A sweep from its first trial to its table: where it is kept, what each trial does, how it ends."""

import hashlib
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace as replace_struct

from maas.command_line import CommandLine
from maas.config import Part, RunConfig, composed_config
from maas.errors import ConfigError, MaasError, RegistryError
from maas.lifecycle.lineage import code_key, work_key
from maas.lifecycle.recipe import load_rows
from maas.registry.mlflow_registry import MlflowRegistry
from maas.registry.tracking.tracker import Tracker
from maas.run_folders.folder import RunFolder, of_artifact
from maas.sweeping.closing import close
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.launching import launch
from maas.sweeping.plan import SEARCHED_BY, PlannedSweep
from maas.sweeping.space import plain
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
TrialStage = Callable[[RunConfig], Checkpoint]


@dataclass(frozen=True)
class Sweep:
    """A sweep that is under way; it travels to the processes that run its trials.

    Args:
        folder: where it is kept.
        keys: that are swept.
        parent: its MLflow run, which those of the trials belong to; None where the recipe has no registry.
    """

    folder: SweepFolder
    keys: tuple[str, ...]
    parent: str | None

    def trial(self, make: Callable[[], RunConfig], overrides: Sequence[str], stage: TrialStage) -> float:
        """Runs one combination, unless the same code ran it before; what it raises is its own failure, no more.

        Args:
            make: composes and checks the recipe.
            overrides: of the combination.
            stage: what is done with the recipe.

        Returns:
            The recipe's metric on validation rows, of the epoch that was kept; NaN if the trial failed.
        """
        known = self.folder.trial(overrides)
        shown = " ".join(one for one in overrides if one.partition("=")[0] in self.keys)
        try:
            config = make()
            code = code_key(config)  # the sweep's own key has the code of the parts that are not swept
            if known is not None and known.value is not None and known.code == code:
                return known.value
            record = replace_struct(self._run(config, list(overrides), stage), code=code)
        except MaasError as error:
            record = TrialRecord(list(overrides), None, str(error))
        except Exception as error:
            log.exception("sweep     %s", shown)
            record = TrialRecord(list(overrides), None, f"{type(error).__name__}: {error}")
        self.folder.keep(record)
        gave = f"failed: {record.reason}" if record.value is None else f"{record.value:.4f}"
        sys.stdout.write(f"sweep     {shown}: {gave}\n")
        return math.nan if record.value is None else record.value

    def _run(self, config: RunConfig, overrides: list[str], stage: TrialStage) -> TrialRecord:
        if config.registry and self.parent:
            config = replace(config, registry=config.registry.with_arguments(parent=self.parent))
        checkpoint = stage(config)
        value = objective(checkpoint, config.metric)
        run = of_artifact(checkpoint.folder)
        _log_kept(config, run, value)
        return TrialRecord(overrides, value, run=str(run.path))


def _log_kept(config: RunConfig, run: RunFolder, value: float) -> None:
    """Logs what a trial gave; an MLflow that is away is no failure of the trial."""
    try:
        tracker = _tracker(config, run.state.tracking_id, run.path / "unsent")
    except RegistryError as error:
        log.warning("sweep     %s stands in trials.csv alone: %s", run.path, error)
        return
    if tracker is not None:
        tracker.log_values({f"kept_validation_{config.metric}": value})
        tracker.finish()


def objective(checkpoint: Checkpoint, metric: str | None) -> float:
    """Returns what a sweep chooses by: the recipe's metric on validation rows, of the epoch that was kept.

    Raises:
        ConfigError: the checkpoint has no such metric, or training diverged.
    """
    record = checkpoint.record
    if metric is None or metric not in record.metrics:
        raise ConfigError("The recipe has no metric on validation rows to choose by.")
    kept = record.history[record.best_epoch] if record.history else {}
    for name, value in kept.items():
        if name.endswith("_loss") and not math.isfinite(value):
            raise ConfigError(f"Training diverged: {name} is {value} in the epoch that was kept.")
    return record.metrics[metric].value


def swept(line: CommandLine, stage: Callable[[RunConfig], Any]) -> None:
    """Does what a command line with `-m` requests.

    Args:
        line: that names the recipe and what varies.
        stage: what is done with each combination.

    Raises:
        ConfigError: faults of the command line, or no trial went through.
    """
    plan = PlannedSweep.read(line)
    _require_one_process(plan.base)
    if plan.verb not in SEARCHED_BY:
        launch(plan.combinations(), partial(_staged, stage, plan.config_dir), plan.hydra, Path(plan.base.runs_dir))
        return
    with begun(plan) as sweep:
        run = partial(_tried, sweep, stage, plan.config_dir)
        path = sweep.folder.path
        if plan.search is None:
            launch(plan.combinations(), run, plan.hydra, path)
        else:
            from maas.sweeping.search import search  # noqa: PLC0415 - optuna takes a second, and may be missing

            search(plan, plan.search, sweep.folder, lambda trials: launch(trials, run, plan.hydra, path))


def _staged(stage: Callable[[RunConfig], Any], config_dir: str | None, overrides: Sequence[str]) -> None:
    stage(composed_config(overrides, config_dir))


def _tried(sweep: Sweep, stage: TrialStage, config_dir: str | None, overrides: Sequence[str]) -> None:
    def make() -> RunConfig:
        config = composed_config(overrides, config_dir)
        _require_one_process(config)
        return config

    sweep.trial(make, overrides, stage)


def _require_one_process(config: RunConfig) -> None:
    """Refuses a sweep over trainings of several processes: Lightning starts them by the same command, sweep and all.

    Raises:
        ConfigError: this is one.
    """
    strategy = config.trainer.get("strategy", "auto") if config.trainer else "auto"
    if strategy != "auto":
        raise ConfigError(
            f"A sweep (-m) trains in one process, and trainer.strategy is {strategy}. Set trainer=cpu or trainer=gpu, "
            "or start one training at a time."
        )


@contextmanager
def begun(plan: PlannedSweep) -> Iterator[Sweep]:
    """Opens a sweep's folder and its MLflow run, and closes both with a table, a picture and the best trial.

    Args:
        plan: what is to be done.

    Raises:
        ConfigError: another process makes the same sweep, or no trial went through.
    """
    config, keys = plan.base, tuple(plan.space.written)
    if config.metric is None:
        raise ConfigError("The recipe has no metric to choose by. Sweep a recipe that has one.")
    path = _path(plan)
    path.mkdir(parents=True, exist_ok=True)
    folder = SweepFolder(path)
    with RunFolder(path).locked():
        tracker = _parent(plan, folder)
        with tracker.marked() if tracker else nullcontext():
            yield Sweep(folder, keys, tracker.run_id if tracker else None)
            close(folder.trials(), plan, folder.path, tracker)
        if tracker:
            tracker.finish()


def _path(plan: PlannedSweep) -> Path:
    """Returns the folder of the sweep of these keys, recipe, rows and code."""
    config = plan.base
    rows = load_rows(config).record.fingerprint
    space = [f"{key}={written}" for key, written in plan.space.written.items()]
    parts = [plan.verb, work_key(config, rows), str(plan.search and plan.search.sampler), *sorted(space)]
    stem = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    root = Path(config.runs_dir) / config.name / "sweeps"
    if config.resume == "auto":
        return root / stem
    return next(path for number in range(1, 10**6) if not (path := root / f"{stem}-{number}").exists())


def _parent(plan: PlannedSweep, folder: SweepFolder) -> Tracker | None:
    """Resumes the sweep's MLflow run, or starts it."""
    unsent = folder.path / "unsent"
    known = _tracker(plan.base, folder.tracking_id, unsent)
    if known is not None:
        known.mark_running()
        return known
    store = _store(plan.base)
    if store is None:
        return None
    settings = asdict(plan.search) if plan.search else {}
    space = {f"space.{plain(key)}": written for key, written in plan.space.written.items()}
    tags = {"maas.sweep": folder.path.name, "maas.recipe": plan.base.name}
    tracker = store.start_run(f"{plan.base.name} sweep {folder.path.name}", tags, {**space, **settings}, unsent)
    folder.remember(tracker.run_id)
    return tracker


def _tracker(config: RunConfig, run_id: str, unsent: Path) -> Tracker | None:
    store = _store(config)
    return store.resume_run(run_id, unsent) if store and run_id else None


def _store(config: RunConfig) -> MlflowRegistry | None:
    return cast("Part[MlflowRegistry]", config.registry).build() if config.registry else None
