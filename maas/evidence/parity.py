"""Do two ways of computing the same answers agree? Torch, ONNX Runtime, onnx's reference evaluator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from maas.errors import ParityError
from maas.evidence.metrics import wilson
from maas.runtime.evidence import Parity
from maas.runtime.predictor import Predictor, outputs_in_batches

Probabilities = NDArray[np.float32]


def compared(left: str, right: str, reference: Probabilities, found: Probabilities, tolerance: float | None) -> Parity:
    """Compares two sets of probabilities for the same rows.

    Args:
        left: the reference's name.
        right: the other's name.
        reference: (N, K).
        found: (N, K).
        tolerance: the largest difference allowed; None compares labels alone.
    """
    same = int((reference.argmax(axis=1) == found.argmax(axis=1)).sum())
    difference = float(np.abs(reference - found).max())
    return Parity(left, right, len(reference), difference, tolerance, wilson(same, len(reference)))


def require(parity: Parity, *, min_label_agreement: float | None = None, where: str = "") -> Parity:
    """Returns `parity` if it is good enough.

    Args:
        parity: a comparison.
        min_label_agreement: the share of labels that must agree; None requires the tolerance and every label.
        where: what is known of the place where they differ.

    Raises:
        ParityError: it is not.
    """
    subject = f"{parity.right} does not answer as {parity.left} on {parity.rows} rows"
    wanted = 1.0 if min_label_agreement is None else min_label_agreement
    if parity.tolerance is not None and not parity.max_difference <= parity.tolerance:
        raise ParityError(
            f"{subject}: a probability differs by {parity.max_difference:.3g}, allowed is {parity.tolerance:g}.{where}",
            found=parity.max_difference,
            allowed=parity.tolerance,
        )
    if parity.label_agreement.value < wanted:
        raise ParityError(
            f"{subject}: {parity.label_agreement.value:.4f} of the labels agree, at least {wanted:g} must.{where}",
            found=parity.label_agreement.value,
            allowed=wanted,
        )
    return parity


def reference_outputs(model: Path, predictor: Predictor, rows: Sequence[Any]) -> Probabilities:
    """Evaluates an ONNX file with onnx's own reference implementation.

    Args:
        model: the file.
        predictor: prepares and batches the rows as it does for ONNX Runtime.
        rows: N raw inputs; the reference is slow, so give few.

    Returns:
        (N, K)
    """
    evaluator = ReferenceEvaluator(str(model))

    def run(feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"probabilities": np.asarray(evaluator.run(None, feeds)[0])}  # type: ignore[index]

    return outputs_in_batches(predictor.processor, rows, predictor.batch_size, run)["probabilities"]


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
