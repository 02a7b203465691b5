"""Proving a drafted bundle: it answers as the trained net does, and this is how good it is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Splits
from maas.evidence.baselines import Baseline
from maas.evidence.machine import this_machine
from maas.evidence.metrics import classification_metrics, confusion_matrix
from maas.evidence.parity import compared, first_difference, reference_outputs, require
from maas.exporting.settings import ExportSettings
from maas.runtime.bundle import Bundle
from maas.runtime.evidence import SCHEMA_VERSION, CompressionRecord, Evidence, Parity
from maas.runtime.predictor import Predictor
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import probabilities

REFERENCE_ROWS = 64
"""Rows for onnx's reference evaluator, which takes seconds for what ONNX Runtime does in milliseconds."""


@dataclass(frozen=True)
class Answers:
    """Probabilities of the test rows, (N, K) each, from the trained net, the graph as exported and what ships."""

    trained: NDArray[np.float32]
    exported: NDArray[np.float32]
    shipped: NDArray[np.float32]


def prove(
    bundle: Bundle,
    checkpoint: Checkpoint,
    exported: Path,
    splits: Splits,
    settings: ExportSettings,
    *,
    baseline: Baseline | None = None,
    compression: CompressionRecord | None = None,
    seconds: dict[str, float] | None = None,
) -> Evidence:
    """Measures a bundle on the test rows.

    Args:
        bundle: what would ship.
        checkpoint: what was trained.
        exported: the ONNX file before compression.
        splits: clean rows.
        settings: tolerances.
        baseline: what a user would pick instead; None for nothing.
        compression: how `bundle` was made smaller; None where it was not.
        seconds: wall time of the stages so far.

    Raises:
        ParityError: the exported graph differs from the net, or the shipped model from the exported one.
    """
    predictor = bundle.make_predictor(model=exported)
    answers = Answers(
        trained=probabilities(checkpoint.net(), checkpoint.processor(), splits.test.inputs, predictor.batch_size),
        exported=predictor.outputs(splits.test.inputs)["probabilities"],
        shipped=bundle.predictor.outputs(splits.test.inputs)["probabilities"],
    )
    parity = _parity(answers, predictor, exported, splits, settings)
    if bundle.manifest.precision != "fp32":
        shipped = compared("exported", "shipped", answers.exported, answers.shipped, None)
        advice = " Set compress=none to ship fp32, or a lower export.min_label_agreement."
        parity.append(require(shipped, min_label_agreement=settings.min_label_agreement, where=advice))
    predicted: dict[str, Callable[[], NDArray[np.int64]]] = {
        "trained": lambda: answers.trained.argmax(axis=1),
        "shipped": lambda: answers.shipped.argmax(axis=1),
    }
    if baseline is not None:
        predicted["baseline"] = lambda: baseline(splits)
    classes = len(splits.labels)
    confusion = confusion_matrix(splits.test.targets, answers.shipped.argmax(axis=1), classes)
    return Evidence(
        schema_version=SCHEMA_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=splits.record,
        metrics={
            who: classification_metrics(splits.test.targets, labels(), classes) for who, labels in predicted.items()
        },
        confusion=tuple(map(tuple, confusion.tolist())),
        parity=tuple(parity),
        compression=compression,
        seconds=seconds or {},
    )


def _parity(
    answers: Answers, predictor: Predictor, exported: Path, splits: Splits, settings: ExportSettings
) -> list[Parity]:
    """Compares torch, ONNX Runtime and the reference evaluator; the last on a few rows spread over the test split."""
    picked = np.linspace(0, len(splits.test) - 1, min(REFERENCE_ROWS, len(splits.test))).astype(int)
    rows = [splits.test.inputs[index] for index in picked]
    reference = reference_outputs(exported, predictor, rows)
    checks = [
        compared("torch", "onnxruntime", answers.trained, answers.exported, settings.tolerance),
        compared("torch", "onnx reference", answers.trained[picked], reference, settings.tolerance),
    ]
    for check in checks:
        require(check, where=_where(check, predictor, exported, rows[:2]))
    return checks


def _where(check: Parity, predictor: Predictor, exported: Path, rows: list[object]) -> str:
    """Says which node goes astray, if the comparison failed at all."""
    if check.tolerance is None or check.max_difference <= check.tolerance:
        return ""
    features = predictor.encode(rows[:1])
    node = first_difference(exported, predictor.processor.collate(features), check.tolerance)
    return f" The first node that differs is {node}." if node else " All nodes agree: the export itself differs."
