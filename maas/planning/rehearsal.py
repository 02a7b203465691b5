"""A rehearsal of the whole line, in a process of its own so that its memory is that of the work and of nothing else.

What a stage does once is done and timed; what it does for each step or row is done for a few and counted up:
`python -m maas.planning.rehearsal FOLDER STARTED`, with the recipe in FOLDER, and STARTED the time of the start.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import torch
import yaml

from maas.config import RunConfig, build
from maas.data.splits import Splits
from maas.doctor import require_sound
from maas.doctor.patient import Patient
from maas.errors import MaasError
from maas.files import write_atomically
from maas.lifecycle.lineage import lineage_of
from maas.lifecycle.validating import validated
from maas.planning.estimating import WARM_UP, Step, Watched, mean_seconds
from maas.planning.later_stages import rehearsed
from maas.planning.memory import children_peak_bytes, peak_bytes
from maas.planning.report import RECIPE, REPORT, Report
from maas.planning.stopwatch import FEWEST
from maas.run_folder import RunFolder
from maas.runtime.processors import BaseProcessor
from maas.training.checkpoint import Checkpoint, save_checkpoint
from maas.training.fitting import Fitted, fit
from maas.training.pretraining import MaskedTokens

STEPS_S = 6.0
"""Of training steps."""
VALIDATED_ROWS = 512
"""Rows that are validated on, and that a later stage answers."""
WATCHED = "stopwatch"
BY_SEVERAL = ("strategy", "num_nodes", "devices")
"""Settings of a trainer of several processes."""
OWN = ("min_epochs", "min_steps", "check_val_every_n_epoch", "val_check_interval")
"""Settings of a trainer that would keep the rehearsal from ending, or from validating when it does."""


class Clock:
    """Wall time by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def rehearse(config: RunConfig, folder: Path, imports_s: float) -> Report:
    """Rehearses a recipe's line.

    Args:
        config: the recipe.
        folder: for all that is written.
        imports_s: seconds that this process took to start.

    Raises:
        MaasError: a stage would refuse.
    """
    clock, world = Clock(), world_of(config.trainer or {})
    clock.seconds["imports"] = imports_s
    with clock.timed("load"):
        splits: Splits = build(config.data, "data")
    with clock.timed("processor"):
        processor = build(config.processor, "processor").fit(splits.train.inputs)
    with clock.timed("doctor"):
        require_sound(config, splits, processor)
    pretraining_s = _pretraining_s(config, splits, processor)
    with clock.timed("fit"):
        fitted = fit(_shortened(config, splits, folder, world), splits, processor, folder / "resume")
    training_peak = peak_bytes()
    few = replace(splits, validation=splits.validation.spread(VALIDATED_ROWS), test=splits.test.spread(VALIDATED_ROWS))
    with clock.timed("validated"):
        answer, metrics = validated(config, fitted, processor, few)
    with clock.timed("checkpoint"):
        checkpoint = _saved(config, fitted, processor, splits, folder, answer=answer.record(), metrics=metrics)
    training_peak = max(training_peak, peak_bytes())
    clock.seconds["validated"] *= len(splits.validation) / len(few.validation)
    later = rehearsed(config, checkpoint, splits, few, folder)
    watched = folder / f"{WATCHED}.json"
    return Report(
        seconds=clock.seconds,
        watched=msgspec.json.decode(watched.read_bytes(), type=Watched) if watched.is_file() else None,
        pretraining_s=pretraining_s,
        world=world,
        rows={"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
        training_peak_bytes=training_peak,
        peak_bytes=max(peak_bytes(), children_peak_bytes()),
        weights_bytes=sum((checkpoint.folder / name).stat().st_size for name in checkpoint.weights),
        later=later,
    )


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


def _shortened(config: RunConfig, splits: Splits, folder: Path, world: int) -> RunConfig:
    """Returns the recipe with a stopwatch, in one process, without what is rehearsed by itself."""
    if config.trainer is None:
        return replace(config, pretrain=None)
    kept = {key: value for key, value in config.trainer.items() if key not in (*BY_SEVERAL, *OWN)}
    batches = -(-len(splits.validation) // config.batch_size)
    asked = kept.get("limit_val_batches", 1.0)
    allowed = asked if isinstance(asked, int) else int(batches * (1.0 if asked is None else asked))
    limit = min(allowed, max(1, VALIDATED_ROWS // config.batch_size))
    validations = validations_of(config.trainer, -(-len(splits.train) // (config.batch_size * world)))
    stopwatch = {
        "_target_": "maas.planning.stopwatch.Stopwatch",
        "out": str(folder / f"{WATCHED}.json"),
        "seconds": STEPS_S,
        "world": world,
        "validations": validations * min(1.0, allowed / batches),
    }
    return replace(
        config,
        pretrain=None,
        trainer={**kept, "devices": 1, "limit_val_batches": limit},
        callbacks={**config.callbacks, WATCHED: stopwatch},
    )


def _pretraining_s(config: RunConfig, splits: Splits, processor: BaseProcessor) -> float | None:
    """Takes steps of the pretraining that is left, and returns the seconds of all of it; None of one not known here."""
    if config.pretrain is None or config.trainer is None:
        return 0.0
    pretrain = build(config.pretrain, "pretrain")
    if not isinstance(pretrain, MaskedTokens):
        return None
    net = Patient(config, splits, processor).new_net()
    guessing = pretrain.left(net, processor, splits.train.inputs, config.seed)
    if guessing is None:
        return 0.0
    epochs, sizes = guessing.total_epochs - len(guessing.epochs), guessing.batches.sizes()
    steps: list[Step] = []
    begun = read = time.perf_counter()
    for size, _ in zip(sizes, islice(guessing.steps(), len(sizes)), strict=True):
        now = time.perf_counter()
        steps.append(Step(size, now - read))
        read = now
        if now - begun > STEPS_S and len(steps) >= WARM_UP + FEWEST:
            break
    return float(epochs * len(sizes) * mean_seconds(steps, sizes))


def _saved(
    config: RunConfig, fitted: Fitted, processor: BaseProcessor, splits: Splits, folder: Path, **record: Any
) -> Checkpoint:
    run = RunFolder(folder)
    run.remember(key="rehearsal")
    return save_checkpoint(
        run.checkpoint,
        fitted.model,
        processor,
        net_record=fitted.net_record,
        name=config.name,
        task=config.task,
        plan=None,
        labels=splits.labels,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        data=splits.record,
        lineage=lineage_of(config, splits.record.fingerprint),
        **record,
    )


def main() -> None:
    """Rehearses as told by the command line."""
    folder, started, asked_by = Path(sys.argv[1]), float(sys.argv[2]), os.getppid()
    config = RunConfig(**yaml.safe_load((folder / RECIPE).read_text(encoding="utf-8")))
    try:
        report = rehearse(config, folder, time.time() - started)
        write_atomically(folder / REPORT, msgspec.json.encode(report))
    except MaasError as error:
        sys.exit(str(error))
    finally:
        if os.getppid() != asked_by:  # it was killed, and cannot remove the folder
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
