"""The stage that exports a net that a recipe trained to translate: a bundle, proven on the texts for testing."""

import logging

import msgspec

from maas.data.splits import Splits
from maas.exporting.bundling import attach_evidence
from maas.exporting.trained_translator import TrainedTranslator
from maas.exporting.translation_bundling import build_translation_bundle
from maas.exporting.translation_proof import prove_translation
from maas.files import folder_published_whole
from maas.lifecycle.recipe import BuiltRecipe, require_trained_on
from maas.lifecycle.stages import timed
from maas.lifecycle.training import translated_metrics
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")


def export_translation(recipe: BuiltRecipe, folder: RunFolder, checkpoint: Checkpoint, rows: Splits) -> Bundle:
    """Writes the bundle of a checkpoint that translates as its own net does; else nothing.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        checkpoint: trained net.
        rows: the recipe's rows.

    Raises:
        DataError: the checkpoint was trained on other rows.
        ExportError: its net is none that can be exported.
        ParityError: the graphs do not translate as the net.
    """
    require_trained_on(checkpoint, rows)
    model, test = TrainedTranslator(checkpoint), rows.test
    texts, wanted = list(test.inputs), [] if test.targets is None else list(test.targets)
    with folder_published_whole(folder.bundle) as draft:
        with timed(folder, "export"):
            bundle = build_translation_bundle(
                draft,
                model=model,
                name=checkpoint.record.name,
                serving=recipe.serving,
                lineage=checkpoint.record.lineage,
                rows=texts,
                opset=recipe.export.opset,
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        with timed(folder, "verify"):
            trained = translated_metrics(model.net, model.processor, test)
            evidence = prove_translation(bundle, model, texts, wanted, data=rows.record, trained=trained)
        (parity,) = evidence.parity
        log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
        log.info("verify    chrF %s", evidence.metrics["shipped"]["chrf"])
        attach_evidence(bundle, msgspec.structs.replace(evidence, seconds=folder.state.seconds))
    return Bundle.open(folder.bundle)
