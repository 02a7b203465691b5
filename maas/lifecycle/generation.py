"""The stage that exports a net that a recipe trained to generate texts: a bundle, proven on the texts for testing."""

import logging
from typing import cast

import msgspec
from torch import nn

from maas.data.splits import Splits
from maas.evidence.text_metrics import text_metrics
from maas.exporting.bundling import attach_evidence
from maas.exporting.generation_bundling import build_generation_bundle
from maas.exporting.generation_proof import prove_generation
from maas.exporting.trained_decoder import TrainedDecoder, beginnings_of
from maas.files import folder_published_whole
from maas.lifecycle.recipe import BuiltRecipe, require_trained_on
from maas.lifecycle.stages import timed
from maas.lifecycle.training import likelihoods_of
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

PROOF_PROMPTS = 50
"""Texts for testing whose beginnings are continued in the proof."""

log = logging.getLogger("maas")


def export_generation(recipe: BuiltRecipe, folder: RunFolder, checkpoint: Checkpoint, rows: Splits) -> Bundle:
    """Writes the bundle of a checkpoint that generates texts as its own net does; else nothing.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        checkpoint: trained net.
        rows: the recipe's rows.

    Raises:
        DataError: the checkpoint was trained on other rows.
        ExportError: its net is none that can be exported.
        ParityError: the graph does not generate as the net.
    """
    require_trained_on(checkpoint, rows)
    model, test = TrainedDecoder(checkpoint), rows.test.inputs
    prompts = beginnings_of(rows.test.spread(PROOF_PROMPTS).inputs)
    with folder_published_whole(folder.bundle) as draft:
        with timed(folder, "export"):
            bundle = build_generation_bundle(
                draft,
                model=model,
                name=checkpoint.record.name,
                serving=recipe.serving,
                lineage=checkpoint.record.lineage,
                golden_prompts=prompts,
                opset=recipe.export.opset,
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        with timed(folder, "verify"):
            trained = text_metrics(likelihoods_of(cast("nn.Module", checkpoint.model()), checkpoint.processor(), test))
            evidence = prove_generation(bundle, model, prompts, data=rows.record, trained=trained)
        (parity,) = evidence.parity
        log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
        attach_evidence(bundle, msgspec.structs.replace(evidence, seconds=folder.state.seconds))
    return Bundle.open(folder.bundle)
