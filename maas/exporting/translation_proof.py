"""Proving a drafted bundle that translates: its greedy texts are those of the model's own framework."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError
from maas.evidence.machine import this_machine
from maas.evidence.translation_metrics import translation_metrics
from maas.exporting.logit_parity import ComparedText, compared_text, required_parity
from maas.exporting.trained_translator import TrainedTranslator
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Interval
from maas.runtime.bundle import Bundle
from maas.runtime.model import batches_of
from maas.runtime.translation.graphs import SOURCE_TOKENS, TranslationGraphs
from maas.runtime.translation.translator import Translator


class ProvenText(NamedTuple):
    """One text against the framework's logits.

    Args:
        row: its number.
        text: what the bundle makes of it.
        compared: its tokens and logits with the framework's.
    """

    row: int
    text: str
    compared: ComparedText


def prove_translation(
    bundle: Bundle,
    model: TrainedTranslator,
    texts: Sequence[str],
    wanted: Sequence[str],
    *,
    data: DataRecord,
    trained: Mapping[str, Interval],
) -> Evidence:
    """Compares what a bundle makes of texts, many of them together, with the model's own framework.

    The framework reads each text alone, and all that was made of it at once. Where its likeliest token is the bundle's
    at every place, its own greedy text is the same; and its logits are compared with those that the graphs give for
    the same tokens, step by step.

    Args:
        bundle: what would ship.
        model: what it was made of.
        texts: raw texts, one or more.
        wanted: what each should become.
        data: rows that they are of.
        trained: metrics of the model on them.

    Raises:
        ParityError: a token is another one, or a logit differs by more than `LOGIT_TOLERANCE`.
    """
    found = sorted(_proven(bundle, model, texts))
    parity = required_parity(model.framework, {f"row {one.row}": one.compared for one in found})
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=data,
        metrics={"trained": dict(trained), "shipped": translation_metrics([one.text for one in found], wanted)},
        parity=(parity,),
        compression=None,
        seconds={},
    )


def _proven(bundle: Bundle, model: TrainedTranslator, texts: Sequence[str]) -> Iterator[ProvenText]:
    """Yields how each text compares, those of one padded length together."""
    predictor, processor = bundle.make_predictor(), model.processor
    translator = predictor.graph
    if not isinstance(translator, Translator):
        raise BundleError(f"{bundle.folder} holds a model that does not translate. Export the model again.")
    features = predictor.preprocess(texts)
    for batch in batches_of(processor, features, predictor.batch_size):
        source = processor.batch([features[index] for index in batch])[SOURCE_TOKENS]
        written = [one.tokens for one in translator.hypotheses(source)]
        forced = forced_step_logits(translator.graphs, source, written, processor.end)
        for row, tokens, logits in zip(batch, written, forced, strict=True):
            reference = model.logits(features[row][processor.feature], tokens)
            compared = compared_text(tokens, logits[: len(tokens)], reference, model.framework, processor.text_of)
            yield ProvenText(row, processor.text_of(tokens), compared)


def forced_step_logits(
    graphs: TranslationGraphs, source: NDArray[np.int64], written: Sequence[Sequence[int]], end: int
) -> NDArray[np.float32]:
    """Returns the logits before each token that is written, step by step for all texts together.

    Args:
        graphs: of the model.
        source: int64 (N, S).
        written: tokens of what is made of each; T of the longest.
        end: token that begins a text; it is written after shorter ones.

    Returns:
        (N, T, V)
    """
    steps = [*zip(*(_filled(tokens, max(map(len, written)), end) for tokens in written), strict=True)]
    progress, found = graphs.read(source), list[NDArray[np.float32]]()
    for tokens in [(end,) * len(written), *steps[:-1]]:
        logits, progress = graphs.step(progress, np.array(tokens, np.int64))
        found.append(logits)
    return np.stack(found, axis=1)


def _filled(tokens: Sequence[int], length: int, end: int) -> list[int]:
    return [*tokens, *[end] * (length - len(tokens))]
