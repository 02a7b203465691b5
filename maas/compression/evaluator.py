"""Judging candidates on validation rows, with the settings that the model is served with."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnxruntime as ort

from maas.compression.budget import Budget
from maas.compression.passes.base import Calibration
from maas.compression.pipeline import Variant
from maas.data.splits import Split
from maas.errors import ConfigError, ExportError, one_line
from maas.evidence.benchmark import ROUNDS, TIMED_AMONG, interleaved, latency, timed_batches
from maas.evidence.footprint import Footprint, footprint_of
from maas.evidence.parity import parity_of, require_parity
from maas.evidence.task_metrics import TaskMetrics
from maas.evidence.task_metrics.base import Scores
from maas.exporting.settings import ExportSettings
from maas.records.evidence import CandidateRecord, Interval, Latency, Slice
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS
from maas.runtime.model import Predictor
from maas.training.evaluation import scores_of

LATENCY_BATCHES = 8
BATCH_EFFECT_ROWS = 64
WIDE, GRID_ROUNDS, GRID_BATCHES = 32, 10, 4
"""Models are timed also at batches of 1, of the declared size and of this one, for fewer rounds."""
TURN_S, FEWEST_BATCHES, WARM_RUNS = 0.3, 2, 2
"""A turn takes fewer batches where the uncompressed model needs longer for all of them: long runs vary less."""


@dataclass(frozen=True)
class TimingTarget:
    """The batch size and the threads that a model is to be fast at."""

    batch_size: int
    threads: int


class TimingPlan(NamedTuple):
    """One way of timing: at which batch size and threads, over how many batches, for how many rounds."""

    target: TimingTarget
    batches: int
    rounds: int


@dataclass(frozen=True)
class Evaluator:
    """Evaluates candidates by metrics, latency, and the effect of other rows in a batch.

    Args:
        graph: ONNX file of the uncompressed model.
        parent: predictor over it.
        validation: rows that training did not see; the test split is not touched.
        task_metrics: metrics of this kind of prediction.
        metric: the recipe's metric; None where rows have no targets.
        seed: random seed of resampling.
        labels: names of the targets, where they are labels.
        tolerance: largest difference of a plain number between a net and what was exported of it.
        is_single: whether the graph takes one row at a time, and no more.
    """

    graph: Path
    parent: Predictor
    validation: Split
    task_metrics: TaskMetrics
    metric: str | None
    seed: int
    labels: Sequence[str] = ()
    tolerance: float = ExportSettings.tolerance
    is_single: bool = False

    @property
    def size(self) -> int:
        """Number of validation rows."""
        return len(self.validation)

    def calibration(self, train: Split, seed: int) -> Calibration:
        """Returns training rows for ONNX passes."""
        return Calibration.of(self.parent, train, seed)

    @property
    def declared(self) -> TimingTarget:
        """The batch size and threads that the model is served with."""
        return TimingTarget(self.parent.batch_size, self.parent.threads)

    def target(self, budget: Budget) -> TimingTarget:
        """Returns the batch size and threads that candidates are to be fast at."""
        declared = self.declared
        return TimingTarget(budget.batch_size or declared.batch_size, budget.threads or declared.threads)

    def predictor(self, model: Path, threads: int | None = None) -> Predictor:
        """Builds a predictor like the parent's over another ONNX file.

        Args:
            model: the ONNX file.
            threads: intra-op threads; None takes the parent's.
        """
        parent = self.parent
        threads = threads or parent.threads
        return Predictor(model, parent.processor, parent.postprocessor, batch_size=parent.batch_size, threads=threads)

    def require_running(self, model: Path) -> None:
        """Requires an ONNX file whose graph answers a batch.

        Raises:
            BundleError: ONNX Runtime cannot open the file.
            ExportError: it opens the file, and fails in the graph.
        """
        try:
            self.predictor(model).session.run(None, self.timed_inputs(count=1)[0])
        except ORT_ERRORS as error:
            raise ExportError(f"ONNX Runtime opens the graph and fails in it: {one_line(error)}.") from error

    def evaluated(
        self, variant: Variant, records: Sequence[CandidateRecord], models: Mapping[str, Path], target: TimingTarget
    ) -> list[CandidateRecord]:
        """Adds to each record what was measured; those without a model stay as they are.

        Args:
            variant: what the candidates are of.
            records: of the candidates, that of the exported model first.
            models: ONNX files by the candidates' names.
            target: the batch size and threads that they are to be fast at.

        Raises:
            ParityError: the exported model does not predict as the variant's net.
            ConfigError: the uncompressed model has answers that are no numbers to compare others with.
        """
        first, is_root = records[0], not variant.name
        predictors = {name: self.predictor(path) for name, path in models.items()}
        scores = {name: self.scores(predictor) for name, predictor in predictors.items()}
        whose = scores[first.name] if is_root else self.scores(self.parent)
        _require_finite(whose)
        trained = whose if is_root else self._trained(variant, scores[first.name])
        broken = {name for name, found in scores.items() if not np.isfinite(found).all()}
        baselines = {} if is_root else {"": self.graph}  # a model is not timed beside itself
        timed = self.latencies({**models, **baselines}, first.name if is_root else "", target)

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            if record.name in broken:
                return msgspec.structs.replace(record, reasons=("some of its scores are not finite numbers",))
            own, footprint = scores[record.name], self.footprint(models[record.name])
            parent = trained if record is first else scores[first.name]
            return msgspec.structs.replace(
                record,
                metric=self.value(own),
                drop=self.drop(whose, own),
                drop_from_parent=None if record is first else self.drop(parent, own),
                worst_slice=self.worst_slice(whose, own),
                agreement=float(self.task_metrics.agrees(parent, own).mean()),
                batch_effect=self.batch_effect(predictors[record.name]),
                latency=timed[record.name][0],
                latencies=timed[record.name],
                load_ms=round(footprint.load_ms, 2),
                peak_bytes=footprint.peak_bytes,
            )

        return [evaluated(record) if record.name in predictors else record for record in records]

    def scores(self, predictor: Predictor) -> Scores:
        """Returns the plain numbers of the validation rows, (N, K)."""
        return predictor.scores(self.validation.inputs)

    def value(self, predictions: Scores) -> Interval | None:
        """Returns the recipe's metric; None where rows have no targets."""
        if self.metric is None or self.validation.targets is None:
            return None
        return self.task_metrics.value(self.validation.targets, predictions, self.metric, self.seed)

    def drop(self, parent: Scores, child: Scores) -> Interval | None:
        """Returns the metric drop from parent to child in percentage points; None where rows have no targets."""
        if self.metric is None or self.validation.targets is None:
            return None
        return self.task_metrics.drop(self.validation.targets, parent, child, self.metric, self.seed)

    def worst_slice(self, parent: Scores, child: Scores) -> Slice | None:
        """Returns the label on whose rows the child loses most against the parent; None where there are no labels."""
        found = self.task_metrics.slices(self.validation.targets, self.labels, parent, child)
        return max(found, key=lambda one: one.drop, default=None)

    def batch_effect(self, predictor: Predictor) -> float:
        """Returns the largest change of a plain number when a row is answered alone instead of in a full batch."""
        rows = self.validation.spread(BATCH_EFFECT_ROWS).inputs
        together = predictor.scores(rows)
        alone = np.concatenate([predictor.scores([row]) for row in rows])
        return self.task_metrics.difference(together, alone) / predictor.postprocessor.scale(together)

    def latencies(
        self, models: Mapping[str, Path], against: str, target: TimingTarget | None = None
    ) -> dict[str, tuple[Latency, ...]]:
        """Times the same real batches on every model, in turns: at the target first, then at common sizes and threads.

        Args:
            models: ONNX files by name.
            against: the name that ratios refer to.
            target: None for what the model is served with.
        """
        found: dict[str, list[Latency]] = {name: [] for name in models}
        for plan in self.timing_plans(target or self.declared):
            one = plan.target
            sessions = {name: self.predictor(path, one.threads).session for name, path in models.items()}
            model_inputs = self.timed_inputs(one.batch_size, plan.batches)

            def run(session: ort.InferenceSession, model_inputs: Sequence[ModelInputs] = model_inputs) -> None:
                for model_input in model_inputs:
                    session.run(None, model_input)

            runs = {name: (lambda session=session, run=run: run(session)) for name, session in sessions.items()}
            times = interleaved(runs, rounds=plan.rounds)
            for name, values in times.items():
                of_batch, baseline = values / len(model_inputs), times[against] / len(model_inputs)
                found[name].append(latency(of_batch, baseline, one.batch_size, one.threads))
        return {name: tuple(measured) for name, measured in found.items()}

    def timing_plans(self, target: TimingTarget) -> list[TimingPlan]:
        """Returns all that models are timed at: the target first and longest, then common sizes and threads."""

        def plan(one: TimingTarget, batches: int, rounds: int) -> TimingPlan:
            enough = int(TURN_S / (self._row_s * one.batch_size))
            return TimingPlan(one, max(FEWEST_BATCHES, min(enough, batches)), rounds)

        threads = sorted({1, min(2, os.cpu_count() or 1)})
        sizes = [1] if self.is_single else sorted({1, self.declared.batch_size, WIDE})
        others = [TimingTarget(size, count) for count in threads for size in sizes]
        short = [plan(one, GRID_BATCHES, GRID_ROUNDS) for one in others if one != target]
        return [plan(target, LATENCY_BATCHES, ROUNDS), *short]

    def footprint(self, model: Path) -> Footprint:
        """Returns what a model takes to open and to answer a batch."""
        return footprint_of(model, self.timed_inputs(count=1)[0], self.parent.threads)

    def timed_inputs(self, batch_size: int | None = None, count: int = LATENCY_BATCHES) -> list[ModelInputs]:
        """Returns the batches that models are timed on: full ones, evenly spread; too few rows are taken again.

        Args:
            batch_size: None for that which the model is served with.
            count: of the batches, at most.
        """
        size, processor, features = batch_size or self.parent.batch_size, self.parent.processor, self._features
        batches = timed_batches(processor, features, size, count)
        return [processor.batch([features[index] for index in batch]) for batch in batches]

    def _trained(self, variant: Variant, exported: Scores) -> Scores:
        """Returns what the checkpoint answers by torch, (N, K), if its ONNX file answers the same."""
        parent, rows, run = self.parent, self.validation.inputs, variant.trained.run()
        found = scores_of(run, parent.postprocessor, parent.processor, rows, parent.batch_size)
        allowed = self.tolerance * parent.postprocessor.scale(found)
        require_parity(parity_of(self.task_metrics, "torch", "onnxruntime", found, exported, allowed))
        return found

    @cached_property
    def _features(self) -> Sequence[Any]:
        """Rows that timed batches are drawn from, again and again, as the processor gives them."""
        return self.parent.preprocess(self.validation.spread(TIMED_AMONG).inputs)

    @cached_property
    def _row_s(self) -> float:
        """Seconds that the uncompressed model takes for a row of a batch, about."""
        (model_input,) = self.timed_inputs(count=1)
        times = []
        for _ in range(WARM_RUNS):
            started = time.perf_counter()
            self.parent.session.run(None, model_input)
            times.append(time.perf_counter() - started)
        return min(times) / len(next(iter(model_input.values())))


def _require_finite(scores: Scores) -> None:
    """Raises ConfigError where the uncompressed model itself answers rows with what is no number."""
    broken = int((~np.isfinite(scores).reshape(len(scores), -1).all(1)).sum())
    if broken:
        raise ConfigError(
            f"The model as it was given answers {broken:,} of {len(scores):,} rows with numbers that are not finite; "
            "nothing can be compared with them. Leave these rows out, or mend the model first."
        )
