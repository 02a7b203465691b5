"""A dry run of what comes after training a model that generates texts: done once, and counted up for all rows."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from maas.compression.candidates import CandidateBuilder
from maas.compression.passes import PassContext
from maas.compression.pipeline import Variant
from maas.compression.store import CandidateStore
from maas.compression.text_evaluator import TextEvaluator
from maas.data.splits import Splits
from maas.errors import ParityError
from maas.evidence.token_scores import token_scores
from maas.exporting.generation_proof import prove_generation
from maas.lifecycle.generation import GenerationSource
from maas.lifecycle.recipe import BuiltRecipe
from maas.planning.report import LaterStages
from maas.runtime.bundle import Bundle
from maas.runtime.generation.passages import TextRow, predicted_text
from maas.training.checkpoint import Checkpoint

PRECISION = "fp32"


def generation_stages_of(
    recipe: BuiltRecipe, checkpoint: Checkpoint, splits: Splits, few: Splits, folder: Path
) -> LaterStages:
    """Exports a checkpoint and proves it as the line would, tries its passes, and measures it on a few rows.

    Args:
        recipe: whose stages these are.
        checkpoint: of a net that need not have learnt anything.
        splits: all rows.
        few: some of the validation and test rows.
        folder: for what is written.
    """
    source, sample = GenerationSource(checkpoint, splits), GenerationSource(checkpoint, few)
    started = time.perf_counter()
    (folder / "bundle").mkdir()
    bundle = source.build(folder / "bundle", recipe)
    built_s = time.perf_counter() - started
    with suppress(ParityError):  # of a net that has learnt little, whose likeliest tokens may be equally likely
        prove_generation(bundle, source.model, source.prompts, data=splits.record)
    proven_s = time.perf_counter() - started
    started = time.perf_counter()
    sample.metrics(bundle)
    measured_s = time.perf_counter() - started
    more = _characters(splits.test.inputs) / _characters(few.test.inputs)
    tried = _Tried.of(recipe, source, sample, bundle, folder)
    return LaterStages(
        bytes={PRECISION: bundle.model_path.stat().st_size, **tried.bytes},
        compress_s=built_s + tried.seconds if tried.seconds else 0.0,
        variants=0,
        pipeline_epochs=0.0,
        export_s=proven_s + measured_s * more + tried.proof_s,
    )


@dataclass(frozen=True)
class _Tried:
    """What passes make of a graph.

    Args:
        bytes: of each graph that a pass can make, by the pass's name; none where no pass is requested.
        seconds: of making and measuring all of them.
        proof_s: of comparing two graphs on the rows for testing.
    """

    bytes: dict[str, int]
    seconds: float
    proof_s: float

    @classmethod
    def of(
        cls, recipe: BuiltRecipe, source: GenerationSource, sample: GenerationSource, bundle: Bundle, folder: Path
    ) -> "_Tried":
        """Tries the recipe's passes, measures them on a few rows, and counts up the seconds of reading all.

        Args:
            recipe: whose passes these are.
            source: the checkpoint with all rows.
            sample: the same with a few rows for validation and testing.
            bundle: in fp32.
            folder: for what is written.
        """
        if not recipe.compression.passes:
            return cls({}, 0.0, 0.0)
        seed, place = recipe.training.seed, folder / "candidates"
        evaluator, everything = sample.evaluator(bundle, seed), source.evaluator(bundle, seed)
        context = PassContext(None, source.rows, None, place, seed)
        builder = CandidateBuilder(evaluator, context, recipe.compression, CandidateStore(place, ""))
        started = time.perf_counter()
        measured = builder.measured(Variant("", None))
        seconds = time.perf_counter() - started
        models = [one.name for one in measured.records if one.sha256]
        read_s = sum(_read_s(evaluator, measured.model(name)) for name in models)
        tested = sum(int(one.is_predicted.sum()) for one in everything.windows_of(source.rows.test))
        return cls(
            {one.name: one.bytes for one in measured.records if one.sha256 and one.parent},
            seconds + read_s * (everything.size / evaluator.size - 1),
            2 * read_s / len(models) * tested / evaluator.size,
        )


def _read_s(evaluator: TextEvaluator, model: Path) -> float:
    """Returns the seconds that a graph takes to read what it is evaluated on."""
    decoder, started = evaluator.decoder(model), time.perf_counter()
    token_scores(decoder, [window.tokens for window in evaluator.windows])
    return time.perf_counter() - started


def _characters(rows: Sequence[TextRow]) -> int:
    return sum(len(predicted_text(row)) for row in rows)
