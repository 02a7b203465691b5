"""Weights of 8 bits in blocks with a scale each, embedding and head among them: what decoders lose least by."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import onnx

from maas.compression.passes.base import Calibration
from maas.errors import ExportError
from maas.onnx_graphs.block_quantizing import block_matrices, in_blocks
from maas.onnx_graphs.block_weights import eight_bit_matrix
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.opsets import OLDEST_OPSET, modern

BlockSize = Literal[16, 32, 64, 128]


@dataclass(frozen=True)
class QuantizeBlocks:
    """Eight-bit weights of matrix products and embeddings, by ONNX Runtime's MatMulNBits.

    A row of activations is scaled by its own blocks, and not by those of other rows in its batch. A matrix that is an
    embedding and a head at once is held once.

    Args:
        block_size: weights along the inputs that share a scale.
        accuracy_level: 4 to round activations to int8 in every block; 0 or 1 to multiply in fp32, for which ONNX
            Runtime expands the weights at every run, and is slow.
    """

    block_size: BlockSize = 32
    accuracy_level: Literal[0, 1, 4] = 4
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = modern(onnx.load(parent), OLDEST_OPSET)
        found = block_matrices(graph)
        if not found:
            raise ExportError("The graph has no MatMul, Gemm or Gather with a matrix of weights; nothing for 8 bits.")
        held = {name: eight_bit_matrix(weights, self.block_size) for name, weights in found.items()}
        write_graph(in_blocks(graph, held, accuracy_level=self.accuracy_level), out)
