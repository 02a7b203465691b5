"""A dry run of what comes after training a model that generates texts: its export is done, its metrics counted up."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from maas.data.splits import Splits
from maas.errors import ParityError
from maas.exporting.generation_bundling import build_generation_bundle
from maas.exporting.generation_proof import prove_generation
from maas.lifecycle.generation import GenerationSource
from maas.lifecycle.recipe import BuiltRecipe
from maas.planning.report import LaterStages
from maas.runtime.generation.passages import TextRow, predicted_text
from maas.training.checkpoint import Checkpoint

PRECISION = "fp32"


def generation_stages_of(
    recipe: BuiltRecipe, checkpoint: Checkpoint, splits: Splits, few: Splits, folder: Path
) -> LaterStages:
    """Exports a checkpoint and proves it as the line would, and measures it on a few rows.

    Args:
        recipe: whose stages these are.
        checkpoint: of a net that need not have learnt anything.
        splits: all rows.
        few: some of the validation and test rows.
        folder: for what is written.
    """
    source = GenerationSource(checkpoint, splits)
    started = time.perf_counter()
    (folder / "bundle").mkdir()
    bundle = build_generation_bundle(
        folder / "bundle",
        model=source.model,
        name=checkpoint.record.name,
        serving=recipe.serving,
        lineage=checkpoint.record.lineage,
        golden_prompts=source.prompts,
        opset=recipe.export.opset,
    )
    with suppress(ParityError):  # of a net that has learnt little, whose likeliest tokens may be equally likely
        prove_generation(bundle, source.model, source.prompts, data=splits.record)
    exported_s = time.perf_counter() - started
    started = time.perf_counter()
    GenerationSource(checkpoint, few).metrics(bundle)
    measured_s = time.perf_counter() - started
    more = _characters(splits.test.inputs) / _characters(few.test.inputs)
    return LaterStages(
        bytes={PRECISION: bundle.model_path.stat().st_size},
        compress_s=0.0,
        variants=0,
        pipeline_epochs=0.0,
        export_s=exported_s + measured_s * more,
    )


def _characters(rows: Sequence[TextRow]) -> int:
    return sum(len(predicted_text(row)) for row in rows)
