"""Do two ways of computing the same answers agree? Torch, ONNX Runtime, onnx's reference evaluator."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from maas.errors import ParityError
from maas.evidence.judges.base import BaseJudge, Predictions
from maas.evidence.metrics import wilson
from maas.runtime.evidence import Parity
from maas.runtime.predictor import Arrays, Run


def compared(
    judge: BaseJudge,
    left: str,
    right: str,
    reference: Predictions,
    found: Predictions,
    tolerance: float | None = None,
) -> Parity:
    """Compares two sets of plain numbers for the same rows.

    Args:
        judge: tells which answers are the same.
        left: the reference's name.
        right: the other's name.
        reference: (N, K).
        found: (N, K).
        tolerance: the largest difference allowed, in the unit of the plain numbers; None compares answers alone.
    """
    same = int(judge.agrees(reference, found).sum())
    difference = float(np.abs(reference - found).max())
    return Parity(left, right, len(reference), difference, tolerance, wilson(same, len(reference)))


def require(parity: Parity, *, min_agreement: float | None = None, where: str = "") -> Parity:
    """Returns `parity` if it is good enough.

    Args:
        parity: a comparison.
        min_agreement: the share of answers that must agree; None requires the tolerance and every answer.
        where: what is known of the place where they differ.

    Raises:
        ParityError: it is not.
    """
    subject = f"{parity.right} does not answer as {parity.left} on {parity.rows} rows"
    wanted = 1.0 if min_agreement is None else min_agreement
    if parity.tolerance is not None and not parity.max_difference <= parity.tolerance:
        raise ParityError(
            f"{subject}: a number differs by {parity.max_difference:.3g}, allowed is {parity.tolerance:g}.{where}",
            found=parity.max_difference,
            allowed=parity.tolerance,
        )
    if parity.agreement.value < wanted:
        raise ParityError(
            f"{subject}: {parity.agreement.value:.4f} of the answers agree, at least {wanted:g} must.{where}",
            found=parity.agreement.value,
            allowed=wanted,
        )
    return parity


def reference_run(model: Path, output: str) -> Run:
    """Returns how onnx's own reference implementation answers feeds; it is slow, so give it few rows.

    Args:
        model: the ONNX file.
        output: the name of its output.
    """
    evaluator = ReferenceEvaluator(str(model))

    def run(feeds: Arrays) -> Arrays:
        return {output: np.asarray(evaluator.run([output], feeds)[0])}  # type: ignore[index]

    return run


def first_difference(model: Path, feeds: dict[str, NDArray[Any]], tolerance: float) -> str | None:
    """Names the first node whose output differs between ONNX Runtime and the reference evaluator.

    Args:
        model: the ONNX file.
        feeds: its inputs.
        tolerance: the largest difference allowed, relative to the reference's largest value.

    Returns:
        `name (operator)`, or None where all nodes agree: the fault then lies in the export itself.
    """
    graph = onnx.load(model)
    names = [name for node in graph.graph.node for name in node.output if name]
    outputs = {output.name for output in graph.graph.output}
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict(zip(names, session.run(names, feeds), strict=True))
    expected = dict(zip(names, ReferenceEvaluator(graph).run(names, feeds), strict=True))
    for node in graph.graph.node:
        for name in node.output:
            if name and _differs(expected[name], found[name], tolerance):
                return f"{node.name or name} ({node.op_type})"
    return None


def _differs(expected: Any, found: Any, tolerance: float) -> bool:
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return True
    if not expected.size or not np.issubdtype(expected.dtype, np.number):
        return bool((expected != found).any())
    difference = np.abs(expected.astype(np.float64) - found.astype(np.float64)).max()
    return not difference <= tolerance * max(1.0, float(np.abs(expected.astype(np.float64)).max()))
