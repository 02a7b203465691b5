"""Evaluating candidates of a model that writes a text of what it reads: by the texts, as they are served.

A candidate is one file: the graph that reads and the one that writes, joined, so that passes over a graph take both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import msgspec
import numpy as np
import onnx

from maas.compression.budget import Budget
from maas.compression.evaluator import TimingTarget
from maas.compression.passes.base import Calibration
from maas.compression.pipeline import Variant
from maas.data.splits import Split
from maas.errors import BundleError, ExportError, one_line
from maas.evidence.benchmark import interleaved, latency
from maas.evidence.comparing_texts import text_of_prediction, texts_drop, texts_metric, texts_value
from maas.evidence.footprint import footprint_of
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.joining import joined_graphs, parted_graphs
from maas.records.evidence import CandidateRecord
from maas.records.signature import NUMPY_TYPES
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import DECODE, ENCODE
from maas.runtime.codec import ModelInputs
from maas.runtime.generation.decoder import LOGITS, PAST
from maas.runtime.graph import ORT_ERRORS
from maas.runtime.model import Predictor
from maas.runtime.translation.graphs import WRITTEN_TOKENS, TranslationGraphs, count_of
from maas.runtime.translation.translator import Translator

ALONE_ROWS, TIMED_ROWS, ROUNDS = 8, 8, 5
"""Rows that are written alone as well, rows of a timed batch at most, and rounds of timing."""


@dataclass(frozen=True)
class SequenceEvaluator:
    """Evaluates candidates by the texts that they write of validation rows.

    Args:
        bundle: the uncompressed model.
        validation: rows that neither calibrate nor prove, with the texts that they should become.
        scratch: folder for graphs.
        seed: random seed of the calibration.
    """

    bundle: Bundle
    validation: Split
    scratch: Path
    seed: int = 0

    @cached_property
    def graph(self) -> Path:
        """ONNX file of both graphs of the uncompressed model."""
        encode, decode = (onnx.load(self.bundle.folder / self.bundle.manifest.graphs[one]) for one in (ENCODE, DECODE))
        out = self.scratch / "joined.onnx"
        write_graph(joined_graphs(encode, decode), out)
        return out

    @property
    def metric(self) -> str:
        """What texts are compared by."""
        return texts_metric(self.bundle, None)

    @property
    def size(self) -> int:
        """Number of rows that candidates are evaluated on."""
        return len(self.validation)

    def target(self, budget: Budget) -> TimingTarget:
        """Returns the number of rows and threads that a batch is to be fast at; few rows unless it is set."""
        serving = self.bundle.manifest.serving
        return TimingTarget(budget.batch_size or min(serving.batch_size, TIMED_ROWS), budget.threads or serving.threads)

    def predictor(self, model: Path, threads: int | None = None) -> Predictor:
        """Returns what writes texts by a candidate.

        Args:
            model: both graphs, joined.
            threads: intra-op threads; None takes those that the uncompressed model is served with.

        Raises:
            BundleError: ONNX Runtime cannot open the graphs.
        """
        files = self._parted(model)
        manifest = self.bundle.manifest
        graphs = TranslationGraphs(*files, manifest.state, threads or manifest.serving.threads)
        return self._own.with_graph(self._translator.with_graphs(graphs))

    def require_running(self, model: Path) -> None:
        """Requires a candidate that writes a text.

        Raises:
            BundleError: ONNX Runtime cannot open the graphs.
            ExportError: it opens them, and fails in one.
        """
        try:
            self.predictor(model).predict(list(self.validation.inputs[:1]))
        except ORT_ERRORS as error:
            raise ExportError(f"ONNX Runtime opens the graphs and fails in them: {one_line(error)}.") from error

    def calibration(self, train: Split, seed: int) -> Calibration:
        """Returns training rows for ONNX passes: what is read of each, and the first token."""

        def model_inputs(count: int) -> Iterator[ModelInputs]:
            picked = np.random.default_rng(seed).permutation(len(train))[:count]
            for index in picked:
                yield self._first_step([train.inputs[index]])

        return Calibration(model_inputs, seed, LOGITS)

    def timed_inputs(self, batch_size: int | None = None, count: int = 1) -> list[ModelInputs]:
        """Returns inputs of the joined graph for the first token of a row."""
        return [self._first_step(list(self.validation.inputs[:1]))] * count

    def evaluated(
        self, variant: Variant, records: Sequence[CandidateRecord], models: Mapping[str, Path], target: TimingTarget
    ) -> list[CandidateRecord]:
        """Adds to each record what was measured; those without a model stay as they are.

        Args:
            variant: the model as it was given; nothing is exported of checkpoints here.
            records: of the candidates, that of the uncompressed model first.
            models: joined graphs by the candidates' names.
            target: number of rows and threads that a batch is to be fast at.
        """
        predictors = {name: self.predictor(path, target.threads) for name, path in models.items()}
        rows, targets = list(self.validation.inputs), self.validation.targets
        wanted = [] if targets is None else list(targets)
        texts = {name: written_texts(one, rows) for name, one in predictors.items()}
        few = [rows[index % len(rows)] for index in range(target.batch_size)]
        times = interleaved({name: partial(one.predict, few) for name, one in predictors.items()}, rounds=ROUNDS)
        first = records[0].name

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            own, name = texts[record.name], record.name
            alone = [written_texts(predictors[name], [row])[0] for row in rows[:ALONE_ROWS]]
            footprint = footprint_of(models[name], self.timed_inputs()[0], target.threads)
            took = latency(times[name], times[first], target.batch_size, target.threads)
            return msgspec.structs.replace(
                record,
                metric=texts_value(self.metric, own, wanted),
                drop=None if name == first else texts_drop(self.metric, texts[first], own, wanted),
                agreement=float(np.mean([one == other for one, other in zip(texts[first], own, strict=True)])),
                changed_texts=sum(one != other for one, other in zip(alone, own, strict=False)),
                latency=took,
                latencies=(took,),
                load_ms=round(footprint.load_ms, 2),
                peak_bytes=footprint.peak_bytes,
            )

        return [evaluated(record) if record.name in models else record for record in records]

    @cached_property
    def _own(self) -> Predictor:
        return self.bundle.make_predictor()

    @property
    def _translator(self) -> Translator:
        found = self._own.graph
        if not isinstance(found, Translator):
            raise BundleError(f"{self.bundle.folder} holds a model that writes no texts of what it reads.")
        return found

    def _parted(self, model: Path) -> tuple[Path, Path]:
        """Writes both graphs of a candidate beside each other, once."""
        files = tuple(self.scratch / f"{model.parent.name}-{model.stem}-{role}.onnx" for role in (ENCODE, DECODE))
        if not all(file.exists() for file in files):
            for graph, file in zip(parted_graphs(onnx.load(model)), files, strict=True):
                write_graph(graph, file)
        return files[0], files[1]

    def _first_step(self, rows: Sequence[object]) -> ModelInputs:
        """Returns inputs of the joined graph: what is read of rows, the token that a text begins with, no past."""
        read = self._translator.first_reading(self._own.processor.batch(self._own.preprocess(rows)))
        count = count_of(read)
        past = {
            PAST + spec.name: np.zeros((count, spec.shape[1], 0, spec.shape[3]), NUMPY_TYPES[spec.datatype])
            for spec in self.bundle.manifest.state
        }
        tokens = np.full((count, 1), self._translator.settings.first_tokens[0], np.int64)
        return {**read, WRITTEN_TOKENS: tokens, **past}


def written_texts(predictor: Predictor, rows: Sequence[object]) -> list[str]:
    """Returns the texts that a model writes of rows."""
    return [text_of_prediction(one) for one in predictor.predict(rows)]


def usual_budget(budget: Budget) -> Budget:
    """Returns a budget without limits that texts have no numbers for."""
    return replace(budget, max_batch_effect=None, max_perplexity_ratio=None)
