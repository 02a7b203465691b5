"""What enters the stages after training: compress, export and verify take a source, whatever it was made by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

from torch import nn

from maas.data.splits import Splits
from maas.evidence.task_metrics import TaskMetrics, task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.exporting.conversion import to_onnx
from maas.exporting.edges import Thresholds
from maas.importing.base import LARGEST_FLOAT32, ImportedModel
from maas.records.evidence import Interval
from maas.records.manifest import Lineage, ServingSettings
from maas.runtime.codec import ModelInputs, Run
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import Postprocessor
from maas.runtime.processors import Processor
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import run_of, scores_of

EXAMPLE_ROWS = 4
"""Training rows that a net is exported with."""
GOLDEN_ROWS = 16
"""Validation rows whose predictions a bundle keeps."""


class SourceModel(Protocol):
    """A model that writes the graph and gives the scores that the graph must reproduce.

    It is a net of torch, a model of another framework, or a graph that was given.
    """

    @property
    def framework(self) -> str:
        """What evidence and messages call it."""
        ...

    @property
    def origin(self) -> str:
        """What it was made by: an import path, or the name of a file."""
        ...

    @property
    def has_tails(self) -> bool:
        """Whether maas computes its probabilities from logits, so that those near 0 are kept and can be compared."""
        ...

    @property
    def largest(self) -> float:
        """Largest number that it still distinguishes from its neighbours."""
        ...

    def thresholds(self, model_inputs: ModelInputs) -> Thresholds | None:
        """Returns input values at which its scores jump; None where unusual rows need no proof of their own.

        Args:
            model_inputs: a few rows as the graph takes them.
        """
        ...

    def scores(self, rows: Sequence[object], batch_size: int) -> Scores:
        """Returns the scores of raw rows, (N, K), without the exported graph.

        Raises:
            ValueError: its framework refuses a row.
            MaasError: the processor refuses a row.
        """
        ...

    def reopened(self) -> "SourceModel":
        """Returns it as opened again; a model whose scores differ then is random, and is refused."""
        ...

    def succeeded_by(self, checkpoint: Checkpoint) -> "SourceModel":
        """Returns what passes over checkpoints made of it.

        Raises:
            ExportError: it is no checkpoint.
        """
        ...

    def write_graph(self, out: Path) -> Path:
        """Writes the ONNX file before compression, the same bytes each time, and returns `out`.

        Raises:
            ExportError: it cannot be written as ONNX.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A model that gives a graph, with its codec, its rows, and what its outputs mean.

    It is a recipe's trained net, a model that a recipe imports, a bundle, or an ONNX file.

    Args:
        name: name of the model.
        task: kinds of input and output, e.g. `text-classification`.
        model: writes the graph, and gives scores without it.
        processor: turns raw rows into the graph's inputs.
        postprocessor: turns the graph's outputs into predictions.
        task_metrics: what the scores mean, and how good they are.
        rows: rows to calibrate with (`train`), to choose by (`validation`) and to prove the choice with (`test`).
        metric: metric that the budget's drop is of; None where rows have no targets.
        lineage: where the model comes from.
        serving: batch size and threads that it is measured and served with.
        golden_rows: raw rows whose predictions a bundle keeps.
        checkpoint: the trained net that passes over checkpoints start from; None for a graph alone.
        precision: what the graph is before it is compressed.
        is_single: whether the graph takes one row at a time, and no more.
        cross_validated: metrics of a cross-validation; empty for none.
        parent_sha256: digest of the manifest of the bundle that is made smaller; empty for any other source.
    """

    name: str
    task: str
    model: SourceModel
    processor: Processor
    postprocessor: Postprocessor
    task_metrics: TaskMetrics
    rows: Splits
    metric: str | None
    lineage: Lineage
    serving: ServingSettings
    golden_rows: Sequence[object]
    checkpoint: Checkpoint | None = None
    precision: str = "fp32"
    is_single: bool = False
    cross_validated: Mapping[str, Interval] = field(default_factory=dict)
    parent_sha256: str = ""

    @classmethod
    def trained(
        cls, checkpoint: Checkpoint, rows: Splits, *, opset: int, serving: ServingSettings, metric: str | None
    ) -> "Source":
        """Returns the source that a recipe's checkpoint is.

        Args:
            checkpoint: a trained net, or a model of another framework that has met the data.
            rows: the recipe's clean rows, on which it was trained.
            opset: ONNX operator set of its graph.
            serving: batch size and threads that it is measured and served with.
            metric: metric of the recipe; None where rows have no targets.
        """
        processor, postprocessor = checkpoint.processor(), checkpoint.postprocessor()
        return cls(
            name=checkpoint.record.name,
            task=postprocessor.task_of(processor.modality),
            model=CheckpointModel(checkpoint, rows, opset),
            processor=processor,
            postprocessor=postprocessor,
            task_metrics=task_metrics_of(postprocessor.kind, rows.labels, metric, postprocessor.thresholds),
            rows=rows,
            metric=metric,
            lineage=checkpoint.record.lineage,
            serving=serving,
            golden_rows=list(rows.validation.spread(GOLDEN_ROWS).inputs),
            checkpoint=checkpoint,
            cross_validated=checkpoint.record.cross_validated,
        )

    def predictor(self, graph: Path) -> Predictor:
        """Returns a predictor over an ONNX file of this source, as it will be served."""
        serving = self.serving
        return Predictor(
            graph, self.processor, self.postprocessor, batch_size=serving.batch_size, threads=serving.threads
        )


@dataclass(frozen=True)
class CheckpointModel:
    """The model of a checkpoint: a net of torch, or a model of another framework.

    Args:
        checkpoint: the checkpoint.
        rows: the recipe's rows.
        opset: ONNX operator set of the graph.
    """

    checkpoint: Checkpoint
    rows: Splits
    opset: int

    @property
    def framework(self) -> str:
        """Torch, or what the other framework is called."""
        return self._model.framework if isinstance(self._model, ImportedModel) else "torch"

    @property
    def origin(self) -> str:
        """Import path of the model's class."""
        return self.checkpoint.record.net.target

    @property
    def has_tails(self) -> bool:
        """Whether maas makes its probabilities, or the other framework's keep those near 0."""
        return not isinstance(self._model, ImportedModel) or self._model.has_tails

    @property
    def largest(self) -> float:
        """Largest number that it still distinguishes from its neighbours."""
        return self._model.largest if isinstance(self._model, ImportedModel) else LARGEST_FLOAT32

    def thresholds(self, model_inputs: ModelInputs) -> Thresholds | None:
        """Returns input values at which an imported model's scores jump; None for a net of torch."""
        return self._model.thresholds(model_inputs) if isinstance(self._model, ImportedModel) else None

    def scores(self, rows: Sequence[object], batch_size: int) -> Scores:
        """Returns the scores of raw rows by the model's own framework, (N, K)."""
        return scores_of(self._run, self._postprocessor, self._processor, rows, batch_size)

    def reopened(self) -> Self:
        """Returns the same with nothing in its cache: the checkpoint's model is opened again when it is used."""
        return replace(self)  # cached properties are not copied

    def succeeded_by(self, checkpoint: Checkpoint) -> Self:
        """Returns the model of another checkpoint, exported with the same rows."""
        return replace(self, checkpoint=checkpoint)

    def write_graph(self, out: Path) -> Path:
        """Exports the model with the first training rows as examples."""
        features = self._processor.preprocess(self.rows.train.inputs[:EXAMPLE_ROWS])
        return to_onnx(self.checkpoint, self._processor.batch(features), out, self.opset)

    @cached_property
    def _model(self) -> nn.Module | ImportedModel:
        return self.checkpoint.model()

    @cached_property
    def _run(self) -> Run:
        return run_of(self._model, self.checkpoint.task_head(), self._postprocessor.output)

    @cached_property
    def _postprocessor(self) -> Postprocessor:
        return self.checkpoint.postprocessor()

    @cached_property
    def _processor(self) -> Processor:
        return self.checkpoint.processor()
