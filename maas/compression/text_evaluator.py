"""Judging candidates of a model that generates texts: by perplexity, by steps of its cache, as it is served."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from tokenizers import Tokenizer

from maas.bounds import Count, Tokens
from maas.compression.budget import Budget
from maas.compression.evaluator import TimingTarget
from maas.compression.passes.base import Calibration
from maas.compression.pipeline import Variant
from maas.data.splits import Split
from maas.errors import BundleError, DataError, ExportError, one_line
from maas.evidence.benchmark import ROUNDS, interleaved, latency
from maas.evidence.footprint import footprint_of
from maas.evidence.text_metrics import perplexity_ratio, text_metrics
from maas.evidence.token_scores import TokenScores, pieces_read, token_scores, token_windows, window_likelihoods
from maas.records.evidence import CandidateRecord, Latency
from maas.records.manifest import Generation
from maas.runtime.bundle import Bundle
from maas.runtime.codec import ModelInputs
from maas.runtime.generation.decoder import LAST_POSITIONS, LOGITS, PAST, TOKENS, TOTAL_LENGTH, Decoder, TokenIds
from maas.runtime.generation.golden import greedy_texts
from maas.runtime.generation.passages import Passage
from maas.runtime.graph import ORT_ERRORS

TOKENS_EVALUATED = 8192
"""Tokens that candidates are evaluated on."""
WINDOW_TOKENS = 257
"""Most tokens that are read of a text at once; all but the first are predicted."""
CALIBRATED, CALIBRATED_TOGETHER = 32, 16
"""Tokens of a text for ONNX passes, or of an answer after what precedes it, and rows of a batch of them."""
ALONE, ALONE_TOKENS = 2, 65
"""Windows that are read alone, too, and how much of them: the effect of a batch on numbers."""
GREEDY_TEXTS, GREEDY_TOKENS, SHORTEST_PROMPT, LONGEST_PROMPT = 16, 24, 8, 95
"""Texts that are continued together and alone, by how many tokens, after how many: the effect of a batch on texts."""
STREAMS, TIMED_POSITION, GRID_ROUNDS = (1, 8, 24), 128, 10
"""Sequences that a step is timed with, how many tokens they have, and rounds of all but the first."""


@dataclass(frozen=True)
class TextEvaluator:
    """Evaluates candidates by perplexity, next tokens, time of a step, and the effect of other texts in a batch.

    Args:
        bundle: the uncompressed model.
        validation: texts that training did not see.
        seed: random seed of resampling.
        tokens: about how many tokens of them are predicted, at most.
        read: makes passages of whole texts and conversations, as training does; None reads texts as prompts are, with
            no end.
        window_tokens: most tokens that are read of a text at once.
    """

    bundle: Bundle
    validation: Split
    seed: int
    tokens: Count = TOKENS_EVALUATED
    read: Callable[[Sequence[Any]], Sequence[Passage]] | None = None
    window_tokens: Tokens = WINDOW_TOKENS
    metric: ClassVar[str] = "perplexity"

    @property
    def graph(self) -> Path:
        """ONNX file of the uncompressed model."""
        return self.bundle.model_path

    @property
    def size(self) -> int:
        """Number of tokens that candidates are evaluated on."""
        return sum(int(one.is_predicted.sum()) for one in self.windows)

    @property
    def generation(self) -> Generation:
        """How the model continues texts.

        Raises:
            BundleError: it does not.
        """
        found = self.bundle.manifest.generation
        if found is None:
            raise BundleError(f"{self.bundle.folder} holds a model that predicts; none of its candidates generates.")
        return found

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What makes tokens of texts."""
        return Tokenizer.from_file(str(self.bundle.folder / self.generation.tokenizer))

    @cached_property
    def windows(self) -> list[Passage]:
        """What is read of the validation texts."""
        return self.windows_of(self.validation)

    def windows_of(self, texts: Split) -> list[Passage]:
        """Returns what is read of texts.

        Raises:
            DataError: no text has two tokens.
        """
        found = token_windows(self.passages(texts.inputs), self._window_tokens, self.tokens)
        if not found:
            raise DataError("No text has two tokens, so that none can be predicted; give longer texts.")
        return found

    def passages(self, rows: Sequence[Any]) -> Sequence[Passage]:
        """Returns the tokens of texts, and which of them are to be predicted."""
        return self.read(rows) if self.read else pieces_read(rows, self.tokenizer)

    @property
    def _window_tokens(self) -> int:
        return min(self.window_tokens, self.generation.context_length)

    def target(self, budget: Budget) -> TimingTarget:
        """Returns the number of sequences and threads that steps are to be fast at; one sequence unless it is set."""
        return TimingTarget(budget.batch_size or 1, budget.threads or self.bundle.manifest.serving.threads)

    def decoder(self, model: Path, threads: int | None = None) -> Decoder:
        """Opens an ONNX file that keeps the state of the uncompressed one.

        Args:
            model: the ONNX file.
            threads: intra-op threads; None takes those that the uncompressed model is served with.

        Raises:
            BundleError: ONNX Runtime cannot open the file.
        """
        manifest = self.bundle.manifest
        return Decoder(model, manifest.state, threads or manifest.serving.threads)

    def require_running(self, model: Path) -> None:
        """Requires an ONNX file that reads a text and takes a step.

        Raises:
            BundleError: ONNX Runtime cannot open the file.
            ExportError: it opens the file, and fails in the graph.
        """
        try:
            greedy_texts(self.decoder(model), [self.windows[0].tokens[:2]], 2)
        except ORT_ERRORS as error:
            raise ExportError(f"ONNX Runtime opens the graph and fails in it: {one_line(error)}.") from error

    def calibration(self, train: Split, seed: int) -> Calibration:
        """Returns beginnings of training texts for ONNX passes, as inputs of the graph with an empty cache.

        Conversations are read as far as into their first answers.
        """

        def model_inputs(count: int) -> Iterator[ModelInputs]:
            picked = train.picked(np.random.default_rng(seed).permutation(len(train))[:count])
            rows = [self._calibrating(one) for one in self.passages(picked.inputs) if len(one.tokens)]
            for start in range(0, len(rows), CALIBRATED_TOGETHER):
                yield self._model_inputs(rows[start : start + CALIBRATED_TOGETHER])

        return Calibration(model_inputs, seed, LOGITS)

    def timed_inputs(self, batch_size: int | None = None, count: int = 1) -> list[ModelInputs]:
        """Returns batches of prompts as inputs of the graph with an empty cache."""
        rows = [self.windows[index % len(self.windows)].tokens[:CALIBRATED] for index in range(batch_size or 1)]
        return [self._model_inputs(rows)] * count

    def evaluated(
        self, variant: Variant, records: Sequence[CandidateRecord], models: Mapping[str, Path], target: TimingTarget
    ) -> list[CandidateRecord]:
        """Adds to each record what was measured; those without a model stay as they are.

        Args:
            variant: the model as it was given; nothing is exported of checkpoints here.
            records: of the candidates, that of the uncompressed model first.
            models: ONNX files by the candidates' names.
            target: the number of sequences and threads that steps are to be fast at.
        """
        decoders = {name: self.decoder(path, target.threads) for name, path in models.items()}
        texts = [window.tokens for window in self.windows]
        read = {name: token_scores(decoder, texts) for name, decoder in decoders.items()}
        scores = {name: one.predicted(self.windows) for name, one in read.items()}
        timed = self.latencies(decoders, records[0].name, target)
        first = scores[records[0].name]

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            own, decoder, model = scores[record.name], decoders[record.name], models[record.name]
            if not np.isfinite(own.sums).all():
                return msgspec.structs.replace(record, reasons=("some of its scores are not finite numbers",))
            footprint = footprint_of(model, self.timed_inputs()[0], target.threads)
            return msgspec.structs.replace(
                record,
                metric=text_metrics(window_likelihoods(own, self.windows, self.tokenizer), self.seed)[self.metric],
                perplexity_ratio=perplexity_ratio(first.sums, own.sums, own.tokens, self.seed),
                agreement=next_token_agreement(first, own),
                batch_effect=self.batch_effect(decoder, read[record.name]),
                changed_texts=self.changed_texts(decoder),
                latency=timed[record.name][0],
                latencies=timed[record.name],
                load_ms=round(footprint.load_ms, 2),
                peak_bytes=footprint.peak_bytes,
            )

        return [evaluated(record) if record.name in models else record for record in records]

    def batch_effect(self, decoder: Decoder, together: TokenScores) -> float:
        """Returns the largest change of a token's log probability when its text is read alone and not with others."""
        alone = token_scores(decoder, [one.tokens[:ALONE_TOKENS] for one in self.windows[:ALONE]], together=1)
        pairs = zip(alone.nats, together.nats, strict=False)
        return max(float(np.abs(one - other[: len(one)]).max()) for one, other in pairs)

    def changed_texts(self, decoder: Decoder) -> int:
        """Returns how many greedy texts are others alone than together, after prompts of several lengths.

        Prompts are beginnings of texts, and what precedes the first answers of conversations.
        """
        prompts = [prompt_within(one, index) for index, one in enumerate(self.windows[:GREEDY_TEXTS])]
        count = min(GREEDY_TOKENS, self.generation.context_length - max(map(len, prompts)))
        together = greedy_texts(decoder, prompts, count)
        return sum(greedy_texts(decoder, [one], count) != [text] for one, text in zip(prompts, together, strict=True))

    def latencies(
        self, decoders: Mapping[str, Decoder], against: str, target: TimingTarget
    ) -> dict[str, tuple[Latency, ...]]:
        """Times a step of every model, in turns: with the target's number of sequences first, then with others.

        Args:
            decoders: graphs by name, opened with the target's threads.
            against: the name that ratios refer to.
            target: number of sequences and threads.
        """
        found: dict[str, list[Latency]] = {name: [] for name in decoders}
        for count in dict.fromkeys((target.batch_size, *STREAMS)):
            steps = {name: _Step(decoder, count, self.generation.context_length) for name, decoder in decoders.items()}
            times = interleaved(steps, rounds=GRID_ROUNDS if found[against] else ROUNDS)
            for name, values in times.items():
                found[name].append(latency(values, times[against], count, target.threads))
        return {name: tuple(measured) for name, measured in found.items()}

    def _calibrating(self, passage: Passage) -> TokenIds:
        """Returns the last tokens, as many as are read at once, of a text's beginning or of an answer's and before."""
        predicted = np.flatnonzero(passage.is_predicted)
        stop = min(int(predicted[0]) - 1 + CALIBRATED, int(predicted[-1])) if predicted.size else 1
        return passage.tokens[max(0, stop - self._window_tokens) : stop]

    def _model_inputs(self, rows: Sequence[TokenIds]) -> ModelInputs:
        sizes = np.array([len(row) for row in rows], np.int32)
        tokens = np.zeros((len(rows), int(sizes.max())), np.int64)
        for padded, row in zip(tokens, rows, strict=True):
            padded[: len(row)] = row
        empty = {
            PAST + spec.name: np.zeros((len(rows), spec.shape[1], 0, spec.shape[3]), np.float32)
            for spec in self.bundle.manifest.state
        }
        return {TOKENS: tokens, LAST_POSITIONS: sizes - 1, TOTAL_LENGTH: np.array(sizes.max(), np.int32), **empty}


def next_token_agreement(parent: TokenScores, child: TokenScores) -> float:
    """Returns the fraction of tokens in whose place both models find the same one likeliest."""
    pairs = zip(parent.likeliest, child.likeliest, strict=True)
    return float(np.concatenate([one == other for one, other in pairs]).mean())


def prompt_within(window: Passage, number: int) -> TokenIds:
    """Returns what precedes the first answer of a conversation, or the beginning of a text.

    Args:
        window: with a token to predict.
        number: of the window; it decides the length of a text's beginning.
    """
    usual = SHORTEST_PROMPT + 17 * number % (LONGEST_PROMPT - SHORTEST_PROMPT)
    length = min(usual, len(window.tokens) - 1) if window.is_text else int(window.is_predicted.argmax())
    return window.tokens[:length]


class _Step:
    """A step of some sequences that have the same tokens each time.

    Args:
        decoder: graph.
        count: number of sequences.
        context_length: most tokens of one.
    """

    def __init__(self, decoder: Decoder, count: int, context_length: int) -> None:
        self._decoder = decoder
        self._tokens = [index % decoder.vocabulary_size for index in range(count)]
        self._position = min(TIMED_POSITION, context_length - 1)
        self._cache = decoder.new_cache(count, self._position + 1)

    def __call__(self) -> None:
        self._cache.lengths[:] = self._position
        self._decoder.step(self._cache, self._tokens)
