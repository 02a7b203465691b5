"""Proving a drafted bundle that writes a text of what it reads: its greedy texts are those of the model's framework."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, ParityError
from maas.evidence.machine import this_machine
from maas.exporting.logit_parity import ComparedText, compared_text, required_parity
from maas.exporting.sequence_model import SequenceModel
from maas.exporting.trained_transcriber import SpeechTranscriber
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Interval
from maas.records.manifest import Translation
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Features, ModelInputs
from maas.runtime.model import batches_of
from maas.runtime.translation.graphs import SAMPLES, TranslationGraphs
from maas.runtime.translation.search import Hypothesis, barred, first_logits
from maas.runtime.translation.spectrograms import SPECTROGRAM
from maas.runtime.translation.timed_transcriber import TimedTranscriber
from maas.runtime.translation.translator import Translator

SPECTROGRAM_TOLERANCE = 1e-3
"""Of numbers that lie in about [-1, 1]: sums of float32 in another order, whose logarithms are taken."""


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
        if isinstance(translator, TimedTranscriber):
            yield from _proven_sounds(translator, model, {row: features[row] for row in batch})
            continue
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


def _proven_sounds(
    translator: TimedTranscriber, model: SequenceModel, sounds: Mapping[int, Features]
) -> Iterator[ProvenRow]:
    """Yields how sounds compare that are heard in windows which follow from their marks of time."""
    if not isinstance(model, SpeechTranscriber):
        raise BundleError(f"{model.framework} hears no sounds.")
    listened = translator.listened(model.processor.batch(list(sounds.values())))
    for (row, features), sound in zip(sounds.items(), listened, strict=True):
        _require_alike(sound.frames, model.speech.spectrogram(features[SAMPLES]), row, model.framework)
        parts = []
        for heard in sound.heard:
            window = sound.window_at(heard.seek)
            given = {SPECTROGRAM: window[None]}
            (logits,) = forced_step_logits(translator.graphs, given, [heard.found.tokens], heard.settings)
            reference = model.speech.logits_of_window(window, heard.settings.prompt, heard.found.tokens)
            compared = _that_may_follow(logits, reference, heard.found.tokens, heard.settings)
            parts.append(compared_text(heard.found.tokens, *compared, model.framework, translator.text_of))
        text = "".join(translator.text_of(one.tokens) for one in sound.passages).strip()
        yield ProvenRow(row, text, tuple(parts))


def _require_alike(frames: NDArray[np.float32], reference: NDArray[np.float32], row: int, framework: str) -> None:
    """Requires a spectrogram that is the framework's, within `SPECTROGRAM_TOLERANCE`.

    Raises:
        ParityError: it is another one.
    """
    found = float(np.abs(frames - reference).max()) if frames.shape == reference.shape else np.inf
    if not found <= SPECTROGRAM_TOLERANCE:
        raise ParityError(
            f"The spectrogram of row {row} differs from {framework}'s by {found:.3g}, allowed is "
            f"{SPECTROGRAM_TOLERANCE:g}. Nothing was written.",
            found=found,
            allowed=SPECTROGRAM_TOLERANCE,
        )


def _compared(
    model: SequenceModel,
    tokens: Sequence[int],
    logits: NDArray[np.float32],
    reference: NDArray[np.float32],
    translator: Translator,
) -> ComparedText:
    """Compares the tokens of one part; those that are not written at a place are left out of its logits."""
    compared = _that_may_follow(logits[: len(tokens)], reference, tokens, translator.settings)
    return compared_text(tokens, *compared, model.framework, translator.text_of)


def _that_may_follow(
    logits: NDArray[np.float32], reference: NDArray[np.float32], tokens: Sequence[int], settings: Translation
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns both with the same number for tokens that one of both does not write at a place, (T, V) each."""
    ours, theirs = (barred(one, tokens, settings) for one in (logits, reference))
    is_left_out = np.isinf(ours) | np.isinf(theirs)
    lowest = theirs.min(axis=1, where=np.isfinite(theirs), initial=np.inf, keepdims=True)
    theirs = np.where(np.isfinite(theirs), theirs, lowest)
    return np.where(is_left_out, theirs, ours), theirs


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
    logits, progress = first_logits(graphs, graphs.read(given), [settings] * len(written))
    found = [logits]
    for tokens in steps[:-1]:
        logits, progress = graphs.step(progress, np.array(tokens, np.int64))
        found.append(logits)
    return np.stack(found, axis=1)


def _filled(tokens: Sequence[int], length: int, end: int) -> list[int]:
    return [*tokens, *[end] * (length - len(tokens))]
