"""Weights and computation in fp16, for GPUs; a CPU computes in fp32 and converts, which costs time."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from maas.compression.passes.base import Calibration
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.quantizing import prepared_graph, quantizer_errors
from maas.onnx_graphs.running import open_session


@dataclass(frozen=True)
class Float16:
    """Half precision by ONNX Runtime's converter; inputs and outputs stay fp32. Larger numbers become ±65504."""

    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the model in fp16; `parent` and `out` are ONNX files."""
        graph = prepared_graph(parent)
        with quantizer_errors("cannot convert this graph to fp16"):
            converted = ONNXModel(convert_float_to_float16(graph, keep_io_types=True))
        converted.topological_sort()
        open_session(converted.model)
        write_graph(converted.model, out)
