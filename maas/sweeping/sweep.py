"""A sweep from its first trial to its table: where it is kept, what each trial does, how it ends."""

import hashlib
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as replace_struct

from maas.config import RunConfig, build
from maas.errors import ConfigError, MaasError, RegistryError
from maas.lifecycle.assembly import load_rows
from maas.lifecycle.lineage import code_key, work_key
from maas.registry.mlflow_registry import MlflowRegistry
from maas.registry.tracking.tracker import Tracker
from maas.run_folders.folder import RunFolder, of_artifact
from maas.sweeping.closing import Command, close
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.plan import Plan
from maas.sweeping.space import plain
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
Stage = Callable[[RunConfig], Checkpoint]


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

    def trial(self, make: Callable[[], RunConfig], overrides: Sequence[str], stage: Stage) -> float:
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

    def _run(self, config: RunConfig, overrides: list[str], stage: Stage) -> TrialRecord:
        if config.registry and self.parent:
            config = replace(config, registry={**config.registry, "parent": self.parent})
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


@contextmanager
def begun(plan: Plan, command: Command) -> Iterator[Sweep]:
    """Opens a sweep's folder and its MLflow run, and closes both with a table, a picture and the best trial.

    Args:
        plan: what is to be done.
        command: makes the command that takes a trial's overrides through the whole line.

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
            close(folder.trials(), plan, folder.path, tracker, command)
        if tracker:
            tracker.finish()


def _path(plan: Plan) -> Path:
    """Returns the folder of the sweep of these keys, recipe, rows and code."""
    config = plan.base
    rows = load_rows(config).record.fingerprint
    space = [f"{key}={written}" for key, written in plan.space.written.items()]
    parts = [plan.verb, work_key(config, rows), str(plan.sweeper.get("sampler")), *sorted(space)]
    stem = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    root = Path(config.runs_dir) / config.name / "sweeps"
    if config.resume == "auto":
        return root / stem
    return next(path for number in range(1, 10**6) if not (path := root / f"{stem}-{number}").exists())


def _parent(plan: Plan, folder: SweepFolder) -> Tracker | None:
    """Goes on with the sweep's MLflow run, or starts it."""
    unsent = folder.path / "unsent"
    known = _tracker(plan.base, folder.tracking_id, unsent)
    if known is not None:
        known.mark_running()
        return known
    if plan.base.registry is None:
        return None
    store: MlflowRegistry = build(plan.base.registry, "registry")
    settings = {key: value for key, value in plan.sweeper.items() if key != "_target_"}
    space = {f"space.{plain(key)}": written for key, written in plan.space.written.items()}
    tags = {"maas.sweep": folder.path.name, "maas.recipe": plan.base.name}
    tracker = store.start_run(f"{plan.base.name} sweep {folder.path.name}", tags, {**space, **settings}, unsent)
    folder.remember(tracker.run_id)
    return tracker


def _tracker(config: RunConfig, run_id: str, unsent: Path) -> Tracker | None:
    if config.registry is None or not run_id:
        return None
    store: MlflowRegistry = build(config.registry, "registry")
    return store.resume_run(run_id, unsent)
