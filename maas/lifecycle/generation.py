"""The stages over a model that generates texts: export it, prove and measure it again, compare it with another one."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from torch import nn

from maas.compression.naming import PARENT
from maas.compression.text_evaluator import TextEvaluator
from maas.data.packing import require_tokenising
from maas.data.splits import Splits
from maas.errors import BundleError, DataError
from maas.evidence.text_metrics import perplexity_gain, text_metrics
from maas.exporting.bundling import attach_evidence
from maas.exporting.generation_bundling import (
    build_generation_bundle,
    generation_of,
    rebuild_generation_bundle,
)
from maas.exporting.generation_metrics import bundle_likelihoods, exact_match, net_likelihoods
from maas.exporting.generation_proof import proof_prompts, prove_generation
from maas.exporting.language_model_of import language_model_of
from maas.exporting.smaller_generation_proof import RATIO, compare_smaller
from maas.exporting.trained_decoder import beginnings_of
from maas.files import folder_published_whole
from maas.importing.decoders.base import LanguageModel
from maas.lifecycle.compressed import Compressed
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

    @property
    def length(self) -> int:
        """Tokens of the sequences that the net was trained on, and of the windows that it is measured with."""
        return int(self.checkpoint.record.processor["max_tokens"])

    def build(self, folder: Path, recipe: BuiltRecipe) -> Bundle:
        """Writes its bundle in fp32, without evidence; the same arguments give the same bytes.

        Args:
            folder: empty folder.
            recipe: what it was trained by.

        Raises:
            ExportError: its net is none that can be exported.
        """
        record = self.checkpoint.record
        return build_generation_bundle(
            folder,
            model=self.model,
            name=record.name,
            serving=recipe.serving,
            lineage=record.lineage,
            golden_prompts=self.prompts,
            opset=recipe.export.opset,
        )

    def evaluator(self, bundle: Bundle, seed: int) -> TextEvaluator:
        """Returns what compares smaller graphs with its own, on the rows for validation.

        Args:
            bundle: its bundle in fp32.
            seed: random seed of resampling.
        """
        read = require_tokenising(self.checkpoint.processor()).passages
        return TextEvaluator(bundle, self.rows.validation, seed, read=read, window_tokens=self.length + 1)

    def metrics(self, bundle: Bundle) -> dict[str, dict[str, Interval]]:
        """Returns metrics on the rows for testing: of the net as it was trained, and of the bundle."""
        rows, processor = self.rows.test.inputs, self.checkpoint.processor()
        generator = open_generator(bundle.folder, bundle.manifest)
        shipped = text_metrics(bundle_likelihoods(generator, rows, self.length))
        matched = exact_match(generator, rows)
        return {
            "trained": text_metrics(net_likelihoods(cast("nn.Module", self.checkpoint.model()), processor, rows)),
            "shipped": {**shipped, **({"exact_match": matched} if matched else {})},
        }


def export_generation(
    recipe: BuiltRecipe, folder: RunFolder, source: GenerationSource, compressed: Compressed | None = None
) -> Bundle:
    """Writes the bundle of a checkpoint that generates texts as its own net does; else nothing.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        source: the checkpoint and its rows.
        compressed: what was made of it; None ships the graph in fp32.

    Raises:
        ExportError: its net is none that can be exported.
        ParityError: the graph does not generate as the net, or a smaller one predicts texts worse than it may.
    """
    with folder_published_whole(folder.bundle) as draft, tempfile.TemporaryDirectory() as scratch:
        with timed(folder, "export"):
            if compressed is None or compressed.record.chosen == PARENT:
                bundle = whole = source.build(draft, recipe)
            else:
                whole = source.build(Path(scratch), recipe)
                bundle = rebuild_generation_bundle(
                    draft, parent=whole, model=compressed.model, precision=compressed.record.chosen
                )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        _measure(recipe, folder, source, bundle, whole, compressed)
    return Bundle.open(folder.bundle)


def verify_generation(
    recipe: BuiltRecipe,
    folder: RunFolder,
    source: GenerationSource,
    bundle: Bundle,
    compressed: Compressed | None = None,
) -> Evidence:
    """Proves a bundle that lies on disk, and replaces its evidence, which may be gone or broken.

    Args:
        recipe: what it was trained by.
        folder: folder of the run.
        source: what the bundle was made of.
        bundle: the bundle.
        compressed: what was made of the source and ships; None where it ships in fp32.

    Raises:
        BundleError: it is not what would be made of the source.
        ParityError: it does not generate as the net, or predicts texts worse than it may.
    """
    if bundle.manifest.generation != generation_of(source.model):
        raise BundleError(
            f"{bundle.folder} names other tokens, another template or another context than what it was made of: its "
            f"manifest was altered. Run python -m maas.export recipe={source.checkpoint.record.name} with the same "
            "overrides."
        )
    if compressed:
        compressed.require_in(bundle)
    check_golden(bundle.folder, open_generator(bundle.folder, bundle.manifest))
    with _in_fp32(recipe, source, bundle) as whole:
        return _measure(recipe, folder, source, bundle, whole, compressed)


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


@contextmanager
def _in_fp32(recipe: BuiltRecipe, source: GenerationSource, bundle: Bundle) -> Iterator[Bundle]:
    """Yields what a bundle was made of: itself, or where it is a smaller one, its like in fp32."""
    if bundle.manifest.precision == PARENT:
        yield bundle
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield source.build(Path(scratch), recipe)


def _measure(
    recipe: BuiltRecipe,
    folder: RunFolder,
    source: GenerationSource,
    bundle: Bundle,
    whole: Bundle,
    compressed: Compressed | None,
) -> Evidence:
    """Proves and measures a bundle, and attaches the evidence; `whole` is the bundle in fp32, which may be the same."""
    with timed(folder, "verify"):
        evidence = prove_generation(whole, source.model, source.prompts, data=source.rows.record)
        metrics, parity = source.metrics(bundle), evidence.parity
        if compressed and bundle is not whole:
            windows = source.evaluator(whole, recipe.training.seed).windows_of(source.rows.test)
            smaller = compare_smaller(bundle, whole, windows, compressed.record)
            metrics["shipped"][RATIO], parity = smaller.ratio, (*parity, smaller.parity)
            log.info("verify    perplexity %s times that of %s", smaller.ratio, PARENT)
    (exact, *_) = parity
    log.info("verify    %s texts as by %s, logits to %.2g", exact.rows, exact.left, exact.max_difference)
    evidence = msgspec.structs.replace(
        evidence,
        manifest_sha256=bundle.digest,
        metrics=metrics,
        parity=parity,
        compression=compressed.record if compressed else None,
        seconds=folder.state.seconds,
    )
    attach_evidence(bundle, evidence)
    return evidence
