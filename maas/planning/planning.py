"""Planning: a dry run is started, and what it reports becomes a plan."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from maas.config import RunConfig
from maas.errors import ConfigError, ProcessError
from maas.lifecycle.recipe import GENERATION, SPEECH_TO_TEXT, require_later_stages
from maas.planning.estimating import Watched
from maas.planning.report import RECIPE, REFUSAL, REPORT, LaterStages, Report
from maas.planning.result import PlannedStage, RecipePlan

DRY_RUN = "maas.planning.dry_run"


def plan(config: RunConfig) -> RecipePlan:
    """Does a dry run of a recipe in a separate process, and returns what the whole of it will take.

    Its files are removed.

    Args:
        config: the recipe.

    Raises:
        ConfigError: a stage would refuse; its own message.
        ProcessError: the dry run broke.
    """
    require_later_stages(config)
    with tempfile.TemporaryDirectory(prefix="maas-plan-") as scratch:
        report = _dry_run(config, Path(scratch))
    return planned(config, report, _free_bytes(Path(config.runs_dir)))


def planned(config: RunConfig, report: Report, free_bytes: int) -> RecipePlan:
    """Returns the plan that a dry run leads to.

    Args:
        config: the recipe.
        report: of the dry run.
        free_bytes: on the disk that runs are written to.
    """
    disk_bytes = _disk_bytes(report)
    return RecipePlan(
        recipe=config.name,
        stages=tuple(_stages(config, report)),
        artifact_bytes=report.later.bytes,
        disk_bytes=disk_bytes,
        free_bytes=free_bytes,
        warnings=tuple(_warnings(config, report, disk_bytes, free_bytes)),
    )


def _stages(config: RunConfig, report: Report) -> Iterator[PlannedStage]:
    seconds, watched = report.seconds, report.watched
    once = seconds["fit"] - (watched.looped_s if watched else 0.0)
    looped = watched.seconds if watched else 0.0
    around = seconds["processor"] + seconds["doctor"] + once + seconds["validated"] + seconds["checkpoint"]
    trained = None if looped is None else looped + around
    yield PlannedStage("start", seconds["imports"] + seconds["load"], None, "imports, rows")
    pretrained = report.pretraining_s
    if pretrained != 0:
        yield PlannedStage("pretrain", pretrained, None, "kept in the cache")
    yield PlannedStage("train", trained, report.training_peak_bytes, _how(watched))
    if config.folds:
        fraction = fold_fraction(config.folds, report.rows)
        fold = None
        if looped is not None and pretrained is not None:
            fold = config.folds * (seconds["processor"] + fraction * (once + looped + pretrained))
        yield PlannedStage("folds", fold, None, f"{config.folds} times {fraction:.2f}")
    later = report.later
    if config.task in (GENERATION, SPEECH_TO_TEXT) and not config.compress["passes"]:
        yield PlannedStage("export", later.export_s, report.peak_bytes, "with the proof")
        return
    yield PlannedStage("compress", _compress_s(later, watched), report.peak_bytes, _tries(later))
    yield PlannedStage("export", later.export_s, None, "with the proof")


def _compress_s(later: LaterStages, watched: Watched | None) -> float | None:
    """Returns the seconds of the search, as if every chain were followed to its end and no net became faster."""
    if not later.variants:
        return later.compress_s
    if watched is None or watched.seconds is None or not watched.loop.epochs:
        return None
    return later.compress_s * (1 + later.variants) + later.pipeline_epochs * watched.seconds / watched.loop.epochs


def _tries(later: LaterStages) -> str:
    passes = f"{len(later.bytes) - 1} passes"
    return f"at most {later.variants} cut nets, {passes} on each" if later.variants else passes


def fold_fraction(folds: int, rows: dict[str, int]) -> float:
    """Returns the training rows of a fold for each training row of the recipe."""
    trained, validated = rows["train"], rows["validation"]
    return sum(rows.values()) * (1 - 1 / folds) * trained / (trained + validated) / trained


def _how(watched: Watched | None) -> str:
    if watched is None:
        return "not by maas"
    loop = watched.loop
    most = "at most " if watched.stops_early else ""
    return f"{most}{loop.epochs or '?'} × {loop.batches} steps"


def _disk_bytes(report: Report) -> int:
    """Returns what lies below `runs_dir` and in the registry at most: points, weights, every candidate, two bundles."""
    watched, models = report.watched, report.later.bytes
    points = 3 * watched.checkpoint_bytes if watched else 0  # the best epoch's, and two to resume from
    return points + report.weights_bytes + sum(models.values()) + 2 * max(models.values())


def _warnings(config: RunConfig, report: Report, disk_bytes: int, free_bytes: int) -> Iterator[str]:
    watched = report.watched
    if disk_bytes > free_bytes:
        yield (
            f"The run needs {disk_bytes:,} bytes on the disk of {config.runs_dir}, which has {free_bytes:,} free. Set "
            "another runs_dir."
        )
    if watched and watched.loop.epochs is None:
        yield "Nothing bounds training. Set trainer.max_epochs or trainer.max_steps."
    if report.pretraining_s is None and config.pretrain is not None:
        yield f"How long {config.pretrain.target} takes is not known."
    if config.pretrain and config.compress.get("scratch_baselines"):
        yield "The pretraining of compress.scratch_baselines is not counted; it is the model's own, in a smaller shape."
    if watched and watched.stops_early:
        yield "A callback may stop training earlier; the minutes are those of all epochs."
    if config.trainer and config.trainer.get("max_time"):
        yield "trainer.max_time is not counted; training may end earlier."
    if report.world > 1:
        yield f"{report.world} processes will train; one was measured alone, without what they exchange."


def _dry_run(config: RunConfig, folder: Path) -> Report:
    (folder / RECIPE).write_text(yaml.safe_dump(config.record(), allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-m", DRY_RUN, str(folder), str(time.time())]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # where parts were found
        "TMPDIR": str(folder),  # libraries leave caches there
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if (folder / REPORT).is_file():
        return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)
    if (folder / REFUSAL).is_file():
        raise ConfigError((folder / REFUSAL).read_text(encoding="utf-8"))
    if done.returncode < 0:
        raise ProcessError(
            f"The dry run was ended by signal {-done.returncode}; where that is 9, memory was short. Set a smaller "
            "batch_size."
        )
    raise ProcessError(f"The dry run broke:\n{done.stderr.strip()}")


def _free_bytes(folder: Path) -> int:
    """Returns what is free on the disk of a folder that need not be there yet."""
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.is_dir())
    return shutil.disk_usage(there).free
