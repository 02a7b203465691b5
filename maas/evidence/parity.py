"""Do two ways of computing the same predictions agree? Torch, ONNX Runtime, onnx's reference evaluator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from maas.errors import ExportError, ParityError, one_line
from maas.evidence.metrics import wilson
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.onnx_graphs.running import computed_values, exposing
from maas.records.evidence import Parity
from maas.runtime.codec import ModelInputs, Outputs, Run

LOG_TOLERANCE = 1000.0
"""How many times the tolerance of a probability its logarithm may differ by: by a hundredth where that is 1e-5.

It is a fraction of the logarithm where that is beyond ±1. Rounding moves it by 1e-6 to 1e-4; a lost tail is
infinitely far away.
"""


def parity_of(
    task_metrics: TaskMetrics,
    left: str,
    right: str,
    reference: Scores,
    found: Scores,
    tolerance: float | None = None,
    *,
    tails: bool = True,
) -> Parity:
    """Compares two sets of plain numbers for the same rows.

    Args:
        task_metrics: which predictions are the same.
        left: the reference's name.
        right: the other's name.
        reference: (N, K).
        found: (N, K).
        tolerance: the largest difference allowed, in the unit of the plain numbers; None compares predictions alone.
        tails: compare small probabilities by their logarithm, too, with `LOG_TOLERANCE` times this tolerance; where
            another framework's converter made the probabilities, it may have lost those near 0.
    """
    same = int(task_metrics.agrees(reference, found).sum())
    difference = task_metrics.difference(reference, found)
    logs = None if tolerance is None or not tails else task_metrics.log_difference(reference, found)
    return Parity(
        left,
        right,
        len(reference),
        difference,
        tolerance,
        wilson(same, len(reference)),
        max_log_difference=logs,
        log_tolerance=None if logs is None or tolerance is None else LOG_TOLERANCE * tolerance,
    )


def require_parity(parity: Parity, *, min_agreement: float | None = None, where: str = "") -> Parity:
    """Returns `parity` if it is good enough.

    Args:
        parity: a comparison.
        min_agreement: the fraction of predictions that must agree; None requires the tolerance and every prediction.
        where: what is known of the place where they differ.

    Raises:
        ParityError: it is not.
    """
    subject = f"{parity.right} does not predict as {parity.left} on {parity.rows} rows"
    wanted = 1.0 if min_agreement is None else min_agreement
    if parity.tolerance is not None and not parity.max_difference <= parity.tolerance:
        raise ParityError(
            f"{subject}: a number differs by {parity.max_difference:.3g}, allowed is {parity.tolerance:g}.{where}",
            found=parity.max_difference,
            allowed=parity.tolerance,
        )
    if (
        parity.max_log_difference is not None
        and parity.log_tolerance is not None
        and not parity.max_log_difference <= parity.log_tolerance
    ):
        raise ParityError(
            f"{subject}: the logarithm of a probability differs by {parity.max_log_difference:.2%}, allowed is "
            f"{parity.log_tolerance:.2%}.{where}",
            found=parity.max_log_difference,
            allowed=parity.log_tolerance,
        )
    if parity.agreement.value < wanted:
        raise ParityError(
            f"{subject}: {parity.agreement.value:.4f} of the predictions agree, at least {wanted:g} must.{where}",
            found=parity.agreement.value,
            allowed=wanted,
        )
    return parity


def reference_run(model: Path, output: str) -> Run:
    """Returns how onnx's own reference implementation answers model inputs; it is slow, so give it few rows.

    Args:
        model: the ONNX file.
        output: the name of its output.

    Raises:
        ExportError: it lacks an operator, or a setting of one; the returned function raises the same.
    """
    with _refused():
        evaluator = ReferenceEvaluator(str(model))

    def run(model_inputs: ModelInputs) -> Outputs:
        with _refused():
            return {output: np.asarray(evaluator.run([output], dict(model_inputs))[0])}  # type: ignore[index]

    return run


@contextmanager
def _refused() -> Iterator[None]:
    """Raises in one line what onnx's reference evaluator cannot compute."""
    try:
        yield
    except Exception as error:  # it raises whatever its operators do
        raise ExportError(
            f"onnx's reference evaluator does not run the graph: {one_line(error).rstrip('.')}. Nothing ships that it "
            "does not confirm. Use operators and settings that it knows."
        ) from error


def first_difference(model: Path, model_inputs: ModelInputs, tolerance: float) -> str | None:
    """Names the first node whose output differs between ONNX Runtime and the reference evaluator.

    Args:
        model: the ONNX file.
        model_inputs: its inputs.
        tolerance: the largest difference allowed, relative to the reference's largest value.

    Returns:
        `name (operator)`, or None where all nodes agree: the fault then lies in the export itself.

    Raises:
        ExportError: the reference does not run the graph.
    """
    graph = onnx.load(model)
    names = [name for node in graph.graph.node for name in node.output if name]
    found = computed_values(graph, model_inputs, names)
    with _refused():
        reference = ReferenceEvaluator(exposing(graph, names)).run(names, dict(model_inputs))
        expected = dict(zip(names, reference, strict=True))
    for node in graph.graph.node:
        for name in node.output:
            if name and _differs(expected[name], found[name], tolerance):
                return f"{node.name or name} ({node.op_type})"
    return None


def _differs(expected: object, found: object, tolerance: float) -> bool:
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return True
    if not expected.size or not np.issubdtype(expected.dtype, np.number):
        return bool((expected != found).any())
    difference = np.abs(expected.astype(np.float64) - found.astype(np.float64)).max()
    return not difference <= tolerance * max(1.0, float(np.abs(expected.astype(np.float64)).max()))
