"""An imported model and its graph, compared on rows that test rows lack."""

import contextlib
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from maas.data.splits import Split
from maas.errors import MaasError, ParityError
from maas.evidence.parity import parity_of, require_parity
from maas.evidence.task_metrics import TaskMetrics
from maas.evidence.task_metrics.base import Scores
from maas.exporting.edges import edge_rows
from maas.exporting.source import SourceModel
from maas.records.evidence import Parity
from maas.runtime.graph import ORT_ERRORS
from maas.runtime.model import Predictor

REFUSALS: tuple[type[Exception], ...] = (MaasError, *ORT_ERRORS)
EDGE_ROWS = 4
"""Usual rows, of which one value at a time is made unusual."""
EDGE_BATCH = 32
"""Rows that a framework answers at once."""


def parity_at_edges(
    model: SourceModel, task_metrics: TaskMetrics, predictor: Predictor, test: Split, tolerance: float
) -> Iterator[Parity]:
    """Compares an imported model and its graph on rows with missing, unseen and extreme values and at thresholds.

    A row to which the framework has no finite scores has nothing to be compared with, nor has one that it refuses; the
    graph must have none to that either. Numbers near the largest float32 may overflow in one order of adding up and not
    in another.

    Args:
        model: what the graph was exported from; nothing is compared where it is a net of maas.
        task_metrics: which predictions are the same.
        predictor: a predictor over the graph.
        test: usual rows.
        tolerance: largest difference allowed, for scores up to 1.

    Raises:
        ParityError: the graph's scores differ.
    """
    usual = [test.inputs[index] for index in range(min(EDGE_ROWS, len(test)))]
    thresholds = model.thresholds(predictor.processor.batch(predictor.preprocess(usual)))
    if thresholds is None:
        return
    edges = edge_rows(predictor.processor, usual, thresholds, largest=model.largest)
    for is_extreme, name in ((False, "onnxruntime, unusual values"), (True, "onnxruntime, extreme values")):
        rows = [edge.row for edge in edges if (edge.kind == "extreme") is is_extreme]
        answered = _answered(model, rows)
        _require_refused(model.framework, predictor, [row for index, row in enumerate(rows) if index not in answered])
        if not answered:
            continue
        expected = np.stack(list(answered.values()))
        found = predictor.scores([rows[index] for index in answered])
        comparable = np.isfinite(expected).all(axis=1)
        if is_extreme:
            comparable &= np.isfinite(found).all(axis=1)
        if comparable.any():
            pair, tails = (expected[comparable], found[comparable]), model.has_tails and not is_extreme
            allowed = tolerance * predictor.postprocessor.scale(pair[0])
            check = parity_of(task_metrics, model.framework, name, *pair, allowed, tails=tails)
            yield require_parity(
                check, where=" The rows hold missing, unseen or extreme values, or ones at a threshold."
            )


def _require_refused(framework: str, predictor: Predictor, rows: Sequence[Any]) -> None:
    """Checks that rows that a framework refuses get no scores from the graph: numbers that are not finite, or an error.

    Raises:
        ParityError: the graph gives scores for one.
    """
    for row in rows:
        try:
            found = predictor.scores([row])
        except REFUSALS:
            continue
        if np.isfinite(found).all():
            raise ParityError(
                f"{framework} refuses a row that the graph predicts: {reprlib.repr(row)}. Choose an estimator that "
                "takes missing values, or put an imputer before it.",
                found=float(np.abs(found).max()),
                allowed=0.0,
            )


def _answered(model: SourceModel, rows: Sequence[Any]) -> dict[int, Scores]:
    """Returns what a framework answers to those of the rows that it does not refuse, by position."""
    try:
        return dict(enumerate(model.scores(rows, EDGE_BATCH))) if rows else {}
    except (ValueError, MaasError):
        pass
    found = {}
    for index, row in enumerate(rows):
        with contextlib.suppress(ValueError, MaasError):
            (found[index],) = model.scores([row], 1)
    return found
