"""A dry run of the whole line, in a process of its own so that its memory is that of the work and of nothing else.

What a stage does once is done and timed; what it does for each step or row is done for a few and counted up:
`python -m maas.planning.dry_run FOLDER STARTED`, with the recipe in FOLDER, and STARTED the time of the start.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import yaml

from maas.config import RunConfig
from maas.data.folds import require_foldable
from maas.data.splits import Splits
from maas.doctor import require_sound
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.errors import MaasError
from maas.evidence.machine import children_peak_bytes, peak_bytes
from maas.files import write_atomically
from maas.lifecycle.lineage import lineage_of
from maas.lifecycle.recipe import GENERATION, SPEECH_TO_TEXT, BuiltRecipe, require_text_passes
from maas.lifecycle.training import checkpoint_of_fitted, validated
from maas.planning.estimating import TimedBatch, Watched, is_enough, mean_seconds
from maas.planning.generation_stages import generation_stages_of
from maas.planning.later_stages import later_stages_of
from maas.planning.report import RECIPE, REFUSAL, REPORT, Report
from maas.planning.sequence_stages import sequence_stages_of
from maas.planning.shortening import STEPS_S, shortened_recipe, world_of
from maas.run_folders.folder import RunFolder
from maas.runtime.processors import Processor
from maas.training.checkpoint import Checkpoint
from maas.training.fitting import Fitted, fit_recipe
from maas.training.pretraining import MaskedTokens
from maas.training.recipe import TrainingRecipe

LATER_STAGE_ROWS = 512
"""Validation rows, and test rows, that later stages answer."""
LATER_STAGE_TEXTS = 8
"""Likewise where they are whole texts, every token of which is read."""
STAGES = {GENERATION: generation_stages_of, SPEECH_TO_TEXT: sequence_stages_of}
"""What comes after the training of models that write texts, by task; `later_stages_of` is of all others."""


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


def dry_run(recipe: BuiltRecipe, folder: Path, imports_s: float) -> Report:
    """Does a dry run of a recipe's line.

    Args:
        recipe: whose line is run.
        folder: for all that is written.
        imports_s: seconds that this process took to start.

    Raises:
        MaasError: a stage would refuse.
    """
    require_text_passes(recipe)
    training = recipe.training
    clock, world, watched = Clock(), world_of(training.trainer_settings), folder / "watched.json"
    clock.seconds["imports"] = imports_s
    with clock.timed("load"):
        splits = training.rows()
        require_foldable(splits, training.folds)
    with clock.timed("processor"):
        processor = training.fitted_processor(splits.train.fitting_rows)
    with clock.timed("doctor"):
        require_sound(training, splits, processor)
    pretraining_s = _pretraining_s(training, splits, processor)
    with clock.timed("fit"):
        fitted = fit_recipe(shortened_recipe(training, splits, watched, world), splits, processor, folder / "resume")
    training_peak = peak_bytes()
    stages_of = STAGES.get(recipe.config.task, later_stages_of)
    count = LATER_STAGE_ROWS if stages_of is later_stages_of else LATER_STAGE_TEXTS
    few = replace(splits, validation=splits.validation.spread(count), test=splits.test.spread(count))
    checkpoint = _checkpoint(recipe, clock, folder, fitted, processor, splits, few)
    training_peak = max(training_peak, peak_bytes())
    clock.seconds["validated"] *= len(splits.validation) / len(few.validation)
    later = stages_of(recipe, checkpoint, splits, few, folder)
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


def _checkpoint(
    recipe: BuiltRecipe, clock: Clock, folder: Path, fitted: Fitted, processor: Processor, splits: Splits, few: Splits
) -> Checkpoint:
    """Writes the checkpoint of a net that has learnt for some steps, as validated on a few rows."""
    with clock.timed("validated"):
        postprocessor, metrics = validated(fitted, processor, few, metric=None)  # one of its own may need more rows
    with clock.timed("checkpoint"):
        run = RunFolder(folder)
        run.remember(key="dry run")
        return checkpoint_of_fitted(
            run,
            recipe.training,
            fitted,
            processor,
            splits,
            postprocessor=postprocessor,
            metrics=metrics,
            lineage=lineage_of(recipe.config, splits.record.fingerprint),
        )


def _pretraining_s(recipe: TrainingRecipe, splits: Splits, processor: Processor) -> float | None:
    """Takes steps of the pretraining that is left, and returns the seconds of all of it; None of one not known here."""
    pretrain = recipe.pretrain
    if pretrain is None or recipe.trainer is None:
        return 0.0
    if not isinstance(pretrain, MaskedTokens):
        return None
    net = RecipeUnderCheck(recipe, splits, processor).new_net()
    guessing = pretrain.left(net, processor, splits.train.inputs, recipe.seed)
    if guessing is None:
        return 0.0
    epochs, sizes = guessing.total_epochs - len(guessing.epochs), guessing.batches.sizes()
    steps: list[TimedBatch] = []
    begun = read = time.perf_counter()
    for size, _ in zip(sizes, guessing.steps(), strict=True):
        now = time.perf_counter()
        steps.append(TimedBatch(size, now - read))
        read = now
        if is_enough(len(steps), now - begun, STEPS_S):
            break
    return float(epochs * len(sizes) * mean_seconds(steps, sizes))


def main() -> None:
    """Does the dry run that the command line names."""
    folder, started, asked_by = Path(sys.argv[1]), float(sys.argv[2]), os.getppid()
    config = RunConfig(**yaml.safe_load((folder / RECIPE).read_text(encoding="utf-8")))
    try:
        report = dry_run(BuiltRecipe.of(config), folder, time.time() - started)
        write_atomically(folder / REPORT, msgspec.json.encode(report))
    except MaasError as error:
        (folder / REFUSAL).write_text(str(error), encoding="utf-8")
        sys.exit(2)
    finally:
        if os.getppid() != asked_by:  # it was killed, and cannot remove the folder
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
