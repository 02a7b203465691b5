"""Weights of four bits in blocks with a scale each: the smallest file; activations stay fp32."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import onnx
from onnx.version_converter import convert_version
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization.onnx_model import ONNXModel

from maas.compression.passes.base import Calibration
from maas.errors import ExportError
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.quantizing import prepared_graph, quantizer_errors, weighted_nodes
from maas.onnx_graphs.running import open_session

_silent = logging.NullHandler()
logging.root.addHandler(_silent)  # without any, importing this module would send every library's notes to the screen
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer  # noqa: E402

logging.root.removeHandler(_silent)

TREATED = ("MatMul", "Gather")
GATHER_OPSET, GATHER_IR = 21, 10
"""The first opset and format of files that know numbers of four bits, in which embeddings are held."""


@dataclass(frozen=True)
class QuantizeInt4:
    """Four-bit weights of matrix products and, if wanted, embeddings, by ONNX Runtime's MatMulNBits.

    Args:
        block_size: weights along the inputs that share a scale.
        accuracy_level: 0 or 1 to multiply in fp32; 4 to round activations to int8 in every block, which is faster.
        symmetric: a scale alone for each block, without a zero point.
        embeddings: hold the rows of embeddings in four bits, too.
        keep_head: leave the last weighted node, which makes the logits, in fp32.
    """

    block_size: Literal[16, 32, 64, 128, 256] = 32
    accuracy_level: Literal[0, 1, 4] = 4
    symmetric: bool = False
    embeddings: bool = True
    keep_head: bool = True
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = prepared_graph(parent)
        kinds = TREATED if self.embeddings else TREATED[:1]
        nodes = weighted_nodes(graph, keep_head=self.keep_head, output=calibration.output)
        wrapped = ONNXModel(graph)
        wrapped.replace_gemm_with_matmul()
        nodes += [f"{name}_MatMul" for name in nodes]  # what a Gemm is called once it has been split
        chosen = [node.name for node in graph.graph.node if node.op_type in kinds and node.name in nodes]
        if not chosen:
            raise ExportError(f"The graph has no {' or '.join(kinds)} with weights beside its head; nothing for int4.")
        with quantizer_errors("cannot give this graph weights of four bits"):
            model = self._quantized(graph, chosen)
        open_session(model)
        write_graph(model, out)

    def _quantized(self, graph: onnx.ModelProto, chosen: list[str]) -> onnx.ModelProto:
        gathers = any(node.op_type == "Gather" and node.name in chosen for node in graph.graph.node)
        if gathers and max(one.version for one in graph.opset_import if one.domain in ("", "ai.onnx")) < GATHER_OPSET:
            graph = convert_version(graph, GATHER_OPSET)
        if gathers:
            graph.ir_version = max(graph.ir_version, GATHER_IR)
        settings = DefaultWeightOnlyQuantConfig(
            block_size=self.block_size,
            is_symmetric=self.symmetric,
            accuracy_level=self.accuracy_level,
            quant_format=QuantFormat.QOperator,
            op_types_to_quantize=TREATED if gathers else TREATED[:1],
        )
        others = [node.name for node in graph.graph.node if node.name not in chosen]
        quantizer = MatMulNBitsQuantizer(graph, nodes_to_exclude=others, algo_config=settings)
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # it divides by the scale of blocks of zeros, and repairs it
            quantizer.process()
        quantizer.model.topological_sort()
        model: onnx.ModelProto = quantizer.model.model
        return model
