"""A graph cleaned up: constants folded, what leads nowhere left out, what is computed or held twice shared."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from maas.bounds import Count, Positive
from maas.compression.passes.base import Calibration
from maas.errors import ExportError, one_line
from maas.onnx_graphs.cleaning import tidied
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.reading import operator_domains
from maas.onnx_graphs.running import output_numbers
from maas.runtime.graph import ORT_ERRORS, session_options

PLAIN, BASIC = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC


@dataclass(frozen=True)
class Simplify:
    """ONNX Runtime's basic optimisation, written to a file that any runtime opens: no operators but those of the graph.

    It pays for imported graphs; ONNX Runtime does the same each time that it opens a file, so that the
    file becomes smaller and opens faster rather than answering faster. The answers are compared with those of the graph
    as it was.

    Args:
        rows: number of calibration rows for comparing the graphs.
        tolerance: largest change of a number of any output, relative to the largest one where that is above 1.
    """

    rows: Count = 64
    tolerance: Positive = 1e-5
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the cleaned graph; `parent` and `out` are ONNX files."""
        source = onnx.load(parent)
        model = _cleaned(source)
        if new := operator_domains(model) - operator_domains(source):
            raise ExportError(f"onnxruntime cannot clean this graph up portably: it puts {', '.join(new)} into it.")
        needed = [one for one in model.opset_import if one.domain in operator_domains(model) | {""}]
        del model.opset_import[:]
        model.opset_import.extend(needed)
        write_graph(model, out)
        before, after = (_session(path.read_bytes(), PLAIN) for path in (parent, out))
        self._require_alike(before, after, calibration)

    def _require_alike(self, one: ort.InferenceSession, other: ort.InferenceSession, calibration: Calibration) -> None:
        for model_inputs in calibration.model_inputs(self.rows):
            before, after = _outputs_of(one, model_inputs), _outputs_of(other, model_inputs)
            for name, values in before.items():
                if not _is_close(values, after[name], self.tolerance):
                    raise ExportError(
                        f"The cleaned graph gives another {name}; the change may be no more than rounding."
                    )


def _cleaned(source: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a model that cannot be cleaned further: what one round has folded, the next may find to be equal."""
    found, smaller = source, _optimised(source)
    while smaller.ByteSize() < found.ByteSize() or found is source:
        found, smaller = smaller, _optimised(smaller)
    return found


def _optimised(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "optimised.onnx"
        _session(tidied(copy).SerializeToString(), BASIC, written)
        return onnx.load(written)


def _outputs_of(session: ort.InferenceSession, model_inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    names = [output.name for output in session.get_outputs()]
    return {
        name: output_numbers(found) for name, found in zip(names, session.run(names, dict(model_inputs)), strict=True)
    }


def _is_close(one: NDArray[Any], other: NDArray[Any], tolerance: float) -> bool:
    if one.shape != other.shape or one.dtype.kind != "f" or not one.size:
        return np.array_equal(one, other)
    allowed = tolerance * max(1.0, float(np.abs(one).max()))
    return np.allclose(other, one, rtol=0, atol=allowed, equal_nan=True)


def _session(graph: bytes, level: ort.GraphOptimizationLevel, written: Path | None = None) -> ort.InferenceSession:
    """Opens a graph, and also writes it as it is optimised where there is a path.

    Raises:
        ExportError: onnxruntime does not take it.
    """
    options = session_options()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    if written:
        options.optimized_model_filepath = str(written)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ExportError(f"onnxruntime cannot clean this graph up: {one_line(error)}.") from error
