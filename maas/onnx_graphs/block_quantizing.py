"""A graph whose matrices are held in blocks of few bits: products by MatMulNBits, look-ups by standard operators.

A matrix that is an embedding and a head at once is held once: both read the same codes and scales.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.numpy_helper import to_array

from maas.onnx_graphs.block_weights import BlockMatrix
from maas.onnx_graphs.building import MICROSOFT, GraphBuilder
from maas.onnx_graphs.head_padding import Matrix
from maas.onnx_graphs.opsets import with_format
from maas.onnx_graphs.reading import captured_names


def block_matrices(model: onnx.ModelProto) -> dict[str, Matrix]:
    """Returns the matrices that can be held in blocks, (outputs, inputs) each, by the names of their weights.

    All that read one are products with it, MatMul or Gemm, or look its rows up; and all take it the same way round.

    Args:
        model: model to read.
    """
    turned = _ways_round(model)
    held = {one.name: to_array(one) for one in model.graph.initializer if one.name in turned}
    return {name: held[name].T if is_turned else held[name] for name, is_turned in turned.items()}


def embedding_names(model: onnx.ModelProto) -> set[str]:
    """Returns the names of weights whose rows are looked up, as those of embeddings are."""
    return {node.input[0] for node in model.graph.node if node.op_type == "Gather"}


def with_open_weights(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Returns a copy whose weights of these names are inputs as well: a run may take others in their place."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    held = [one for one in copy.graph.initializer if one.name in names]
    copy.graph.input.extend(helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in held)
    return copy


def as_held(model: onnx.ModelProto, matrices: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Returns matrices, (outputs, inputs) each, the way round that a model holds them."""
    turned = _ways_round(model)
    return {name: np.ascontiguousarray(one.T if turned[name] else one) for name, one in matrices.items()}


def in_blocks(model: onnx.ModelProto, matrices: Mapping[str, BlockMatrix], *, accuracy_level: int) -> onnx.ModelProto:
    """Returns a model that holds matrices in blocks.

    Args:
        model: model in fp32, left as it is.
        matrices: what takes the place of weights, by their names in `block_matrices`; in 8 bits where rows of it are
            looked up.
        accuracy_level: 0 or 1 to multiply in fp32; 4 to round the other factor to int8 in every block.
    """
    rewriter = _Rewriter(matrices, accuracy_level)
    nodes = [one for node in model.graph.node for one in rewriter.rewritten(node)]
    kept = [one for one in model.graph.initializer if one.name not in matrices]
    graph = helper.make_graph(
        nodes, model.graph.name, model.graph.input, model.graph.output, [*kept, *rewriter.graph.constants]
    )
    opsets = {one.domain: one.version for one in model.opset_import} | {MICROSOFT: 1}
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        ir_version=model.ir_version,
        functions=model.functions,
    )
    return with_format(made)


class _Rewriter:
    """Nodes that read matrices in blocks, one after the other.

    Args:
        matrices: by the names of the weights.
        accuracy_level: of products.
    """

    def __init__(self, matrices: Mapping[str, BlockMatrix], accuracy_level: int) -> None:
        self.graph = GraphBuilder("blocks")
        self._matrices = matrices
        self._accuracy_level = accuracy_level
        self._sums: dict[tuple[str, int], str] = {}

    def rewritten(self, node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
        """Returns what takes a node's place: itself, where it reads no such matrix."""
        first = len(self.graph.nodes)
        if node.op_type == "Gather" and node.input[0] in self._matrices:
            self._look_up(node)
        elif len(node.input) > 1 and node.input[1] in self._matrices:
            self._multiply(node)
        return self.graph.nodes[first:] or [node]

    def _multiply(self, node: onnx.NodeProto) -> None:
        """Adds a product, with what offsets and a bias add to it; the last of these makes the node's output."""
        value, name = node.input[0], node.input[1]
        matrix = self._matrices[name]
        parts = [self._offsets(value, name, matrix)] if matrix.offsets is not None else []
        parts += [one for one in node.input[2:] if one]
        size = {"K": matrix.inputs, "N": matrix.outputs, "bits": matrix.bits, "block_size": matrix.block_size}
        product = self.graph.add(
            "MatMulNBits",
            value,
            *self._weights(name, matrix),
            result=None if parts else node.output[0],
            domain=MICROSOFT,
            accuracy_level=self._accuracy_level,
            **size,
        )
        for index, part in enumerate(parts, start=1):
            product = self.graph.add("Add", product, part, result=node.output[0] if index == len(parts) else None)

    def _offsets(self, value: str, name: str, matrix: BlockMatrix) -> str:
        """Adds Σ offset · (sum of the values in a block), in fp32.

        Sums come from a product with zeros and ones, whatever the value's rank; matrices that read one share them.
        """
        size = matrix.block_size
        if (value, size) not in self._sums:
            ones = np.equal.outer(np.arange(matrix.inputs) // size, np.arange(matrix.codes.shape[1]))
            weights = self.graph.weight(f"blocks/ones_{matrix.inputs}_{size}", ones.astype(np.float32))
            self._sums[value, size] = self.graph.add("MatMul", value, weights)
        offsets = np.zeros((0, 0), np.float32) if matrix.offsets is None else matrix.offsets.T
        return self.graph.add("MatMul", self._sums[value, size], self.graph.weight(f"{name}/offsets", offsets))

    def _look_up(self, node: onnx.NodeProto) -> None:
        """Adds a look-up of rows and of their scales, and their product."""
        name, indices = node.input[0], node.input[1]
        matrix, add, constant = self._matrices[name], self.graph.add, self.graph.constant
        codes, scales = self._weights(name, matrix)
        numbers = add("Cast", add("Gather", codes, indices, axis=0), to=TensorProto.FLOAT)  # (…, blocks, block_size)
        centred = add("Sub", numbers, constant(2 ** (matrix.bits - 1), np.float32))
        scale = add("Unsqueeze", add("Gather", scales, indices, axis=0), constant([-1], np.int64))
        shape = add("Concat", add("Shape", indices), constant([-1], np.int64), axis=0)
        is_padded = matrix.inputs % matrix.block_size != 0
        rows = add("Reshape", add("Mul", centred, scale), shape, result=None if is_padded else node.output[0])
        if is_padded:
            places = [constant([one], np.int64) for one in (0, matrix.inputs, -1)]  # from, to, along which axis
            add("Slice", rows, *places, result=node.output[0])

    def _weights(self, name: str, matrix: BlockMatrix) -> tuple[str, str]:
        """Adds codes and scales, unless they are there, and returns their names."""
        weight = self.graph.weight
        return weight(f"{name}/codes_{matrix.bits}", matrix.packed), weight(f"{name}/scales", matrix.scales)


def _ways_round(model: onnx.ModelProto) -> dict[str, bool]:
    """Returns whether weights that can be held in blocks are (inputs, outputs) rather than (outputs, inputs)."""
    ways: dict[str, set[bool | None]] = {one.name: set() for one in model.graph.initializer if _is_matrix(one)}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in ways:
                ways[name].add(_is_turned(node, place))
        for name in ways.keys() & set(captured_names(node)):
            ways[name].add(None)
    for name in ways.keys() & {output.name for output in model.graph.output}:
        ways[name].add(None)
    known = {name: next(iter(found)) for name, found in ways.items() if len(found) == 1}
    return {name: turned for name, turned in known.items() if turned is not None}


def _is_matrix(weight: onnx.TensorProto) -> bool:
    return weight.data_type == TensorProto.FLOAT and len(weight.dims) == 2 and min(weight.dims) > 0


def _is_turned(node: onnx.NodeProto, place: int) -> bool | None:
    """Returns whether a node takes a matrix as (inputs, outputs); None where it is no such product or look-up."""
    set_ = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if node.domain not in ("", "ai.onnx"):
        return None
    if (node.op_type, place) == ("Gather", 0):
        return False if set_.get("axis", 0) == 0 else None
    if (node.op_type, place) == ("MatMul", 1):
        return True
    is_plain = not set_.get("transA", 0) and set_.get("alpha", 1.0) == 1 and set_.get("beta", 1.0) == 1
    return not set_.get("transB", 0) if (node.op_type, place) == ("Gemm", 1) and is_plain else None
