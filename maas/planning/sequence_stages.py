"""A dry run of what comes after a model that writes down speech: its export is done, its proof counted up."""

import time
from contextlib import suppress
from pathlib import Path

from maas.data.splits import Splits
from maas.errors import ParityError
from maas.exporting.sequence_bundling import build_sequence_bundle
from maas.exporting.sequence_proof import prove_sequences
from maas.lifecycle.recipe import BuiltRecipe
from maas.lifecycle.sequences import sequence_model_of
from maas.planning.generation_stages import PRECISION
from maas.planning.report import LaterStages
from maas.training.checkpoint import Checkpoint


def sequence_stages_of(
    recipe: BuiltRecipe, checkpoint: Checkpoint, splits: Splits, few: Splits, folder: Path
) -> LaterStages:
    """Exports a checkpoint as the line would, and proves it on a few rows.

    Args:
        recipe: whose stages these are.
        checkpoint: of a model that is taken as it comes.
        splits: all rows.
        few: some of the validation and test rows.
        folder: for what is written.
    """
    model, rows = sequence_model_of(checkpoint), list(few.test.inputs)
    started = time.perf_counter()
    (folder / "bundle").mkdir()
    bundle = build_sequence_bundle(
        folder / "bundle",
        model=model,
        name=checkpoint.record.name,
        serving=recipe.serving,
        lineage=checkpoint.record.lineage,
        rows=rows,
        opset=recipe.export.opset,
    )
    exported_s = time.perf_counter() - started
    started = time.perf_counter()
    with suppress(ParityError):  # which the line itself reports
        prove_sequences(bundle, model, rows, [], data=splits.record, trained={})
    proven_s = time.perf_counter() - started
    return LaterStages(
        bytes={PRECISION: bundle.model_path.stat().st_size},
        compress_s=0.0,
        variants=0,
        pipeline_epochs=0.0,
        export_s=exported_s + proven_s * len(splits.test) / len(few.test),
    )
