"""Proving a drafted bundle that writes a text of what it reads: its greedy texts are those of the model's framework."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError
from maas.evidence.machine import this_machine
from maas.exporting.logit_parity import ComparedText, compared_text, required_parity
from maas.exporting.sequence_model import SequenceModel
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Interval
from maas.records.manifest import Translation
from maas.runtime.bundle import Bundle
from maas.runtime.codec import ModelInputs
from maas.runtime.model import batches_of
from maas.runtime.translation.graphs import TranslationGraphs
from maas.runtime.translation.search import Hypothesis, first_logits
from maas.runtime.translation.translator import Translator


class ProvenRow(NamedTuple):
    """One row against the framework's logits.

    Args:
        row: its number.
        text: what the bundle makes of it.
        parts: how the tokens and logits of each of its parts compare.
    """

    row: int
    text: str
    parts: tuple[ComparedText, ...]


def prove_sequences(
    bundle: Bundle,
    model: SequenceModel,
    rows: Sequence[Any],
    wanted: Sequence[str],
    *,
    data: DataRecord,
    trained: Mapping[str, Interval],
) -> Evidence:
    """Compares what a bundle makes of rows, many of them together, with the model's own framework.

    The framework reads each part of a row alone, and all that was made of it at once. Where its likeliest token is the
    bundle's at every place, its own greedy text is the same; and its logits are compared with those that the graphs
    give for the same tokens, step by step.

    Args:
        bundle: what would ship.
        model: what it was made of.
        rows: raw rows, one or more.
        wanted: the text that each should become; none where that is not known.
        data: rows that they are of.
        trained: metrics of the model on them; none of one that is taken as it comes.

    Raises:
        ParityError: a token is another one, or a logit differs by more than `LOGIT_TOLERANCE`.
    """
    found = sorted(_proven(bundle, model, rows))
    named = {
        f"row {one.row}, part {number}" if len(one.parts) > 1 else f"row {one.row}": part
        for one in found
        for number, part in enumerate(one.parts)
    }
    parity = required_parity(model.framework, named)
    shipped = dict(model.metrics([one.text for one in found], wanted)) if len(wanted) else {}
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=data,
        metrics={**({"trained": dict(trained)} if trained else {}), "shipped": shipped},
        parity=(parity,),
        compression=None,
        seconds={},
    )


def _proven(bundle: Bundle, model: SequenceModel, rows: Sequence[Any]) -> Iterator[ProvenRow]:
    """Yields how each row compares, those of one padded length together."""
    predictor, processor = bundle.make_predictor(), model.processor
    translator = predictor.graph
    if not isinstance(translator, Translator):
        raise BundleError(f"{bundle.folder} holds a model that writes no texts. Export the model again.")
    features = predictor.preprocess(rows)
    for batch in batches_of(processor, features, predictor.batch_size):
        found, forced = list[Hypothesis](), list[NDArray[np.float32]]()
        for given in translator.readings(processor.batch([features[index] for index in batch])):
            written = translator.hypotheses(given)
            found += written
            tokens = [one.tokens for one in written]
            forced.extend(forced_step_logits(translator.graphs, given, tokens, translator.settings))
        parts = [part for index in batch for part in model.parts(features[index])]
        compared = [
            _compared(model, one.tokens, logits, model.logits(part, one.tokens), translator)
            for one, logits, part in zip(found, forced, parts, strict=True)
        ]
        width = len(parts) // len(batch)
        for place, (row, text) in enumerate(zip(batch, translator.texts(found, len(batch)), strict=True)):
            yield ProvenRow(row, text, tuple(compared[place * width : (place + 1) * width]))


def _compared(
    model: SequenceModel,
    tokens: Sequence[int],
    logits: NDArray[np.float32],
    reference: NDArray[np.float32],
    translator: Translator,
) -> ComparedText:
    """Compares the tokens of one part; those that are not written at a place are left out of its logits."""
    logits, reference = logits[: len(tokens)].copy(), reference.copy()
    for place in range(len(tokens)):
        barred = translator.settings.barred(is_first=place == 0)
        logits[place, barred] = reference[place, barred] = reference[place].min()
    return compared_text(tokens, logits, reference, model.framework, translator.text_of)


def forced_step_logits(
    graphs: TranslationGraphs, given: ModelInputs, written: Sequence[Sequence[int]], settings: Translation
) -> NDArray[np.float32]:
    """Returns the logits before each token that is written, step by step for all texts together.

    Args:
        graphs: of the model.
        given: inputs of the graph that reads, (N, …) each.
        written: tokens of what is made of each; T of the longest.
        settings: whose end token is written after shorter ones.

    Returns:
        (N, T, V)
    """
    longest = max(map(len, written))
    steps = [*zip(*(_filled(tokens, longest, settings.end_token) for tokens in written), strict=True)]
    logits, progress = first_logits(graphs, graphs.read(given), settings)
    found = [logits]
    for tokens in steps[:-1]:
        logits, progress = graphs.step(progress, np.array(tokens, np.int64))
        found.append(logits)
    return np.stack(found, axis=1)


def _filled(tokens: Sequence[int], length: int, end: int) -> list[int]:
    return [*tokens, *[end] * (length - len(tokens))]
