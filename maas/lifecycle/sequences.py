"""The stages over a model that writes a text of what it reads: export it, prove and measure it again."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from maas.data.splits import Split, Splits
from maas.errors import BundleError
from maas.exporting.bundling import attach_evidence
from maas.exporting.sequence_bundling import build_sequence_bundle
from maas.exporting.sequence_model import SequenceModel
from maas.exporting.sequence_proof import prove_sequences
from maas.exporting.trained_transcriber import SpeechTranscriber
from maas.exporting.trained_translator import TrainedTranslator
from maas.files import folder_published_whole
from maas.lifecycle.recipe import SPEECH_TO_TEXT, BuiltRecipe, require_trained_on
from maas.lifecycle.stages import timed
from maas.lifecycle.training import translated_metrics
from maas.records.evidence import Evidence
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")


def sequence_model_of(checkpoint: Checkpoint) -> SequenceModel:
    """Returns the model of a checkpoint that translates or writes down speech.

    Raises:
        ExportError: its net is none that can be exported.
    """
    if checkpoint.record.task == SPEECH_TO_TEXT:
        return SpeechTranscriber.of(checkpoint)
    return TrainedTranslator(checkpoint)


def export_sequences(recipe: BuiltRecipe, folder: RunFolder, checkpoint: Checkpoint, rows: Splits) -> Bundle:
    """Writes the bundle of a checkpoint that writes texts as its own net does; else nothing.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        checkpoint: trained net, or one that was taken as it comes.
        rows: the recipe's rows.

    Raises:
        DataError: the checkpoint was trained on other rows.
        ExportError: its net is none that can be exported.
        ParityError: the graphs do not write as the net.
    """
    require_trained_on(checkpoint, rows)
    model = sequence_model_of(checkpoint)
    with folder_published_whole(folder.bundle) as draft:
        with timed(folder, "export"):
            bundle = build_sequence_bundle(
                draft,
                model=model,
                name=checkpoint.record.name,
                serving=recipe.serving,
                lineage=checkpoint.record.lineage,
                rows=list(rows.test.inputs),
                opset=recipe.export.opset,
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        _measure(folder, model, bundle, rows)
    return Bundle.open(folder.bundle)


def verify_sequences(folder: RunFolder, checkpoint: Checkpoint, rows: Splits, bundle: Bundle) -> Evidence:
    """Proves a bundle that lies on disk, and replaces its evidence, which may be gone or broken.

    Args:
        folder: folder of the run.
        checkpoint: what the bundle was made of.
        rows: the recipe's rows.
        bundle: the bundle.

    Raises:
        BundleError: it is not what would be made of the checkpoint.
        DataError: the checkpoint was trained on other rows.
        ParityError: it does not write as the net.
    """
    require_trained_on(checkpoint, rows)
    model = sequence_model_of(checkpoint)
    if bundle.manifest.search != model.settings:
        raise BundleError(
            f"{bundle.folder} begins or ends its texts by other tokens than what it was made of: its manifest was "
            f"altered. Run python -m maas.export recipe={checkpoint.record.name} with the same overrides."
        )
    bundle.check_golden()
    return _measure(folder, model, bundle, rows)


def _measure(folder: RunFolder, model: SequenceModel, bundle: Bundle, rows: Splits) -> Evidence:
    """Proves and measures a bundle, and attaches the evidence."""
    test = rows.test
    with timed(folder, "verify"):
        trained = {}
        if isinstance(model, TrainedTranslator):
            trained = translated_metrics(model.net, model.processor, test)
        evidence = prove_sequences(bundle, model, list(test.inputs), _targets(test), data=rows.record, trained=trained)
    (parity,) = evidence.parity
    log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
    for name, value in list(evidence.metrics["shipped"].items())[:1]:
        log.info("verify    %s %s", name, value)
    evidence = msgspec.structs.replace(evidence, seconds=folder.state.seconds)
    attach_evidence(bundle, evidence)
    return evidence


def _targets(rows: Split) -> Sequence[Any]:
    return [] if rows.targets is None else list(rows.targets)
