"""The stages over a model that generates texts: export it, prove and measure it again, compare it with another one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import msgspec
import numpy as np
from torch import nn

from maas.data.splits import Splits
from maas.errors import BundleError, DataError
from maas.evidence.text_metrics import perplexity_gain, text_metrics
from maas.exporting.bundling import attach_evidence
from maas.exporting.generation_bundling import build_generation_bundle, generation_of
from maas.exporting.generation_metrics import bundle_likelihoods, exact_match, net_likelihoods
from maas.exporting.generation_proof import proof_prompts, prove_generation
from maas.exporting.language_model_of import language_model_of
from maas.exporting.trained_decoder import beginnings_of
from maas.files import folder_published_whole
from maas.importing.decoders.base import LanguageModel
from maas.lifecycle.recipe import BuiltRecipe, require_trained_on
from maas.lifecycle.stages import timed
from maas.records.evidence import Evidence, Interval
from maas.registry.promotion import Comparison
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.runtime.generation.generator import Prompt
from maas.runtime.generation.opening import check_golden, open_generator
from maas.runtime.generation.passages import TextRow, exercise_of
from maas.training.checkpoint import Checkpoint

PROOF_PROMPTS = 50
"""Prompts that are continued in the proof: of the rows for testing, and of those that ship where these are few."""
COMPARED_TOKENS = 512
"""Most tokens of a window where two bundles read the same rows."""

log = logging.getLogger("maas")


@dataclass(frozen=True)
class GenerationSource:
    """A checkpoint that generates texts, with its rows.

    Args:
        checkpoint: trained, or taken as it comes.
        rows: the recipe's rows.
    """

    checkpoint: Checkpoint
    rows: Splits

    @classmethod
    def of(cls, checkpoint: Checkpoint, rows: Splits) -> "GenerationSource":
        """Returns a checkpoint with the rows that it was trained on.

        Raises:
            DataError: it was trained on others.
        """
        require_trained_on(checkpoint, rows)
        return cls(checkpoint, rows)

    @cached_property
    def model(self) -> LanguageModel:
        """Its net, as the bundle needs it.

        Raises:
            ExportError: the net is none that can be exported.
        """
        return language_model_of(self.checkpoint)

    @cached_property
    def prompts(self) -> list[Prompt]:
        """Prompts of the proof: conversations up to their last answers, or the beginnings of texts."""
        has_template = self.model.text_files.chat_template is not None
        rows: Sequence[TextRow] = self.rows.test.spread(PROOF_PROMPTS).inputs
        exercises = [found.prompt for row in rows if has_template and (found := exercise_of(row))]
        own: list[Prompt] = [*exercises, *beginnings_of([row for row in rows if isinstance(row, str)])]
        return [*own, *proof_prompts(has_chat_template=has_template)[: PROOF_PROMPTS - len(own)]]

    def metrics(self, bundle: Bundle) -> dict[str, dict[str, Interval]]:
        """Returns metrics on the rows for testing: of the net as it was trained, and of the bundle."""
        rows, processor = self.rows.test.inputs, self.checkpoint.processor()
        generator = open_generator(bundle.folder, bundle.manifest)
        length = int(self.checkpoint.record.processor["max_tokens"])
        shipped = text_metrics(bundle_likelihoods(generator, rows, length))
        matched = exact_match(generator, rows)
        return {
            "trained": text_metrics(net_likelihoods(cast("nn.Module", self.checkpoint.model()), processor, rows)),
            "shipped": {**shipped, **({"exact_match": matched} if matched else {})},
        }


def export_generation(recipe: BuiltRecipe, folder: RunFolder, source: GenerationSource) -> Bundle:
    """Writes the bundle of a checkpoint that generates texts as its own net does; else nothing.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        source: the checkpoint and its rows.

    Raises:
        ExportError: its net is none that can be exported.
        ParityError: the graph does not generate as the net.
    """
    record = source.checkpoint.record
    with folder_published_whole(folder.bundle) as draft:
        with timed(folder, "export"):
            bundle = build_generation_bundle(
                draft,
                model=source.model,
                name=record.name,
                serving=recipe.serving,
                lineage=record.lineage,
                golden_prompts=source.prompts,
                opset=recipe.export.opset,
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        _measure(source, folder, bundle)
    return Bundle.open(folder.bundle)


def verify_generation(folder: RunFolder, source: GenerationSource, bundle: Bundle) -> Evidence:
    """Proves a bundle that lies on disk, and replaces its evidence, which may be gone or broken.

    Args:
        folder: folder of the run.
        source: what the bundle was made of.
        bundle: the bundle.

    Raises:
        BundleError: it is not what would be made of the source.
        ParityError: it does not generate as the net.
    """
    if bundle.manifest.generation != generation_of(source.model):
        raise BundleError(
            f"{bundle.folder} names other tokens, another template or another context than what it was made of: its "
            f"manifest was altered. Run python -m maas.export recipe={source.checkpoint.record.name} with the same "
            "overrides."
        )
    check_golden(bundle.folder, open_generator(bundle.folder, bundle.manifest))
    return _measure(source, folder, bundle)


def compare_generation(new: Bundle, old: Bundle, rows: Sequence[TextRow]) -> Comparison:
    """Compares how well two bundles predict the same rows.

    Args:
        new: a bundle.
        old: the one that the alias points at.
        rows: texts and conversations that neither has learnt.

    Raises:
        DataError: one of them predicts and does not generate, or their tokens differ.
    """
    if not (new.is_generative and old.is_generative):
        raise DataError("one of both generates texts, the other does not")
    generators = [bundle.generator for bundle in (new, old)]
    length = min(COMPARED_TOKENS, *(one.context_length for one in generators))
    own, others = (bundle_likelihoods(one, rows, length) for one in generators)
    if not np.array_equal(own.tokens, others.tokens):
        raise DataError("both read the same texts as other tokens, of which the metric is a mean")
    new_value, old_value = (text_metrics(one)["log_likelihood"].value for one in (own, others))
    gain = perplexity_gain(own, others)
    return Comparison("log_likelihood", new_value, old_value, gain, unit="% less perplexity")


def _measure(source: GenerationSource, folder: RunFolder, bundle: Bundle) -> Evidence:
    """Proves and measures a bundle, and attaches the evidence."""
    with timed(folder, "verify"):
        evidence = prove_generation(bundle, source.model, source.prompts, data=source.rows.record)
        metrics = source.metrics(bundle)
    (parity,) = evidence.parity
    log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
    evidence = msgspec.structs.replace(evidence, metrics=metrics, seconds=folder.state.seconds)
    attach_evidence(bundle, evidence)
    return evidence
