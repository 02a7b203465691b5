"""A model that generates texts, made smaller within a budget of perplexity: a bundle, or a decoder as it comes."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from maas.bounds import Count, Tokens
from maas.compression.candidates import CandidateBuilder
from maas.compression.naming import PARENT
from maas.compression.passes import PassContext
from maas.compression.search import Search, SearchResult
from maas.compression.store import CandidateStore
from maas.compression.text_evaluator import TOKENS_EVALUATED, TextEvaluator
from maas.config import Part, composed_sections
from maas.data.given_text import given_text, text_in_pieces
from maas.data.splits import Splits
from maas.errors import ConfigError, DataError, one_line
from maas.evidence.model_plots import compression_picture
from maas.exporting.bundling import attach_evidence
from maas.exporting.generation_bundling import rebuild_generation_bundle
from maas.exporting.smaller_generation_proof import RATIO, prove_smaller
from maas.files.drafts import draft_of, remove_ended
from maas.lifecycle.given import new_folder
from maas.lifecycle.recipe import GraphRecipe
from maas.lifecycle.typed_arguments import typed_arguments
from maas.records.evidence import CompressionRecord
from maas.runtime.bundle import Bundle

log = logging.getLogger("maas")
CANDIDATES, EXPORTED = "candidates", "exported"
KING_JAMES = "data=king_james"
"""What is read where no text is given: the King James Bible's chapters for testing."""


@dataclass(frozen=True)
class SmallerDecoder:
    """What comes with a model that generates texts and is to be made smaller.

    Args:
        texts: file of text in UTF-8, of the kind that the model will continue and none that it has learnt; None reads
            chapters of the King James Bible.
        tokens: about how many tokens of it candidates are evaluated on, and as many the proof.
        name: name of the bundle that a decoder becomes; None for that of its folder.
        context: most tokens of a prompt and its text, for a decoder; None for what it was trained with.
        prompts: text file with a prompt in each line that a decoder is exported with; None for the 50 that ship.
    """

    texts: Path | None = None
    tokens: Count = TOKENS_EVALUATED
    name: str | None = None
    context: Tokens | None = None
    prompts: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "SmallerDecoder":
        """Reads what was typed.

        Args:
            values: by the names of the arguments.

        Raises:
            ConfigError: a value is none that the argument takes.
        """
        return cls(**typed_arguments(cls, values))


DECODER_KEYS = tuple(field.name for field in fields(SmallerDecoder) if field.name in ("name", "context", "prompts"))
"""What applies to a decoder, and not to a bundle."""


def compress_decoder(recipe: GraphRecipe, model: Bundle | str, given: SmallerDecoder, out: Path) -> CompressionRecord:
    """Writes the smallest bundle that keeps the budget, proven on text that neither calibrated nor chose.

    Args:
        recipe: passes, budget and seed.
        model: a bundle whose model generates, or a decoder that becomes one first, as `export_decoder` takes it.
        given: the text, and how a decoder is exported.
        out: folder to write, which must not be there.

    Raises:
        MaasError: text, passes or model do not fit, or the proof contradicts the choice; nothing is written.
    """
    recipe.compression.require_no_pipeline(model if isinstance(model, str) else model.manifest.name)
    with new_folder(out) as draft, _scratch_beside(out) as scratch:
        rows = _rows(given)
        parent = model if isinstance(model, Bundle) else _exported(model, given, out, scratch / EXPORTED)
        _require_fp32(parent)
        evaluator = TextEvaluator(parent, rows.validation, recipe.seed, given.tokens)
        log.info("compress  %s; %s tokens to choose by", ", ".join(recipe.compression.passes), evaluator.size)
        found = _searched(recipe, evaluator, rows, scratch / CANDIDATES)
        record, chosen = found.record, found.chosen.model(found.record.chosen)
        log.info("compress  chosen: %s. %s", record.chosen, record.reason)
        bundle = rebuild_generation_bundle(draft, parent=parent, model=chosen, precision=record.chosen)
        evidence = prove_smaller(bundle, parent, evaluator.windows_of(rows.test), data=rows.record, compression=record)
        log.info("verify    perplexity %s times that of %s", evidence.metrics["shipped"][RATIO], PARENT)
        attach_evidence(bundle, evidence)
        compression_picture(record, draft / "compression.png")
    return record


def _searched(recipe: GraphRecipe, evaluator: TextEvaluator, rows: Splits, place: Path) -> SearchResult:
    """Returns what the recipe's passes make of the model, measured, and which of it ships.

    Args:
        recipe: passes, budget and seed.
        evaluator: over the second third of the text.
        rows: text in thirds.
        place: folder of the candidates.
    """
    context = PassContext(None, rows, None, place, recipe.seed)
    store = CandidateStore(place, f"{recipe.digest} {rows.record.fingerprint}")
    return Search(CandidateBuilder(evaluator, context, recipe.compression, store)).run()


@contextmanager
def _scratch_beside(out: Path) -> Iterator[Path]:
    """Yields a folder that is gone afterwards; that of a process that was killed goes when another writes there."""
    place = out.with_name(f"{out.name}-{CANDIDATES}")
    remove_ended(place)
    folder = draft_of(place)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exported(model: str, given: SmallerDecoder, out: Path, folder: Path) -> Bundle:
    """Returns the bundle in fp32 that a decoder becomes, proven against its own framework."""
    from maas.lifecycle.given_decoder import GivenDecoder, export_decoder  # noqa: PLC0415 - a bundle needs no transformers

    export_decoder(GivenDecoder(model, given.name or out.name, given.context, given.prompts), folder)
    return Bundle.open(folder)


def _require_fp32(bundle: Bundle) -> None:
    """Requires a model whose weights are as they were trained.

    Raises:
        ConfigError: they are not.
    """
    if bundle.manifest.precision != PARENT:
        raise ConfigError(
            f"{bundle.folder} holds {bundle.manifest.precision} of {bundle.manifest.name}; name the bundle in {PARENT} "
            "that it was made from."
        )


def _rows(given: SmallerDecoder) -> Splits:
    """Returns the text in thirds.

    Raises:
        DataError: it cannot be read, or is too short; or none is given, and the one that is read then is not there.
    """
    if given.texts is not None:
        return given_text(given.texts)
    try:
        section = cast("Part[Splits]", composed_sections(("data",), [KING_JAMES])["data"])
        chapters = section.build().test.inputs
    except DataError as error:
        raise DataError(
            "texts is missing, and the King James Bible, by which models are compared then, cannot be read: "
            f"{one_line(error)}. Set texts=FILE, a text in UTF-8 that the model has not learnt."
        ) from error
    log.info(
        "compress  by chapters of the King James Bible; texts=FILE names a text of the kind that will be continued"
    )
    return text_in_pieces("\n".join(chapters), "the King James Bible")
