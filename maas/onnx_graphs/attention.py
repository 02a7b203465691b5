"""What graphs of an encoder and a decoder have in common: layers of attention, and keys and values that are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from maas.errors import ExportError
from maas.onnx_graphs.building import GraphBuilder
from maas.records.signature import TensorSpec

NamedWeights = Mapping[str, NDArray[np.float32]]
"""Weights by their names in a net; matrices are (outputs, inputs)."""


@dataclass(frozen=True)
class AttentionShape:
    """The shape of an encoder and a decoder.

    Args:
        encoder_layers: number of the encoder's blocks.
        decoder_layers: number of the decoder's blocks.
        heads: H.
        head_size: D / H.
        vocabulary_size: V.
    """

    encoder_layers: int
    decoder_layers: int
    heads: int
    head_size: int
    vocabulary_size: int

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of keys and values of the decoder's layers."""
        return tuple(f"{kind}.{layer}" for layer in range(self.decoder_layers) for kind in ("key", "value"))

    @property
    def state(self) -> tuple[TensorSpec, ...]:
        """The tensors that are kept between steps, (texts, H, positions, D / H) each."""
        return tuple(TensorSpec(name, "FP32", (-1, self.heads, -1, self.head_size)) for name in self.kept)

    def declared(self, prefix: str, length: str | int) -> list[onnx.ValueInfoProto]:
        """Returns the declarations of keys and values.

        Args:
            prefix: what their names begin with.
            length: number of positions, or its name where it varies.
        """
        shape: list[str | int | None] = ["texts", self.heads, length, self.head_size]
        return [helper.make_tensor_value_info(prefix + name, TensorProto.FLOAT, shape) for name in self.kept]


class AttentionLayers:
    """The layers of a net as nodes of one graph.

    Args:
        shape: of the net.
        weights: of the net.
        name: of the graph.
    """

    net: ClassVar[str]
    """The net whose graph it is, for messages."""

    def __init__(self, shape: AttentionShape, weights: NamedWeights, name: str) -> None:
        self.shape = shape
        self.weights = weights
        self.graph = GraphBuilder(name)

    def weight(self, name: str, *, is_turned: bool = False) -> str:
        """Adds a weight, or its transpose, and returns its name.

        Raises:
            ExportError: it is missing.
        """
        found = self.weights.get(name)
        if found is None:
            raise ExportError(f"The net has no weight {name}; the graph is that of {self.net}.")
        return self.graph.weight(name, found.T if is_turned else found)

    def linear(self, value: str, name: str) -> str:
        """Adds a product with the matrix of a layer, and its bias where it has one."""
        product = self.graph.add("MatMul", value, self.weight(f"{name}.weight", is_turned=True))
        bias = f"{name}.bias"
        return self.graph.add("Add", product, self.weight(bias)) if bias in self.weights else product

    def heads_of(self, value: str, name: str, result: str | None = None) -> str:
        """Adds a layer and cuts its result into heads, (N, T, D) → (N, H, T, D / H)."""
        shape = self.graph.constant([0, 0, self.shape.heads, self.shape.head_size], np.int64)
        cut = self.graph.add("Reshape", self.linear(value, name), shape)
        return self.graph.add("Transpose", cut, perm=[0, 2, 1, 3], result=result)

    def attended(self, queries: str, keys: str, values: str, name: str, is_seen: str | None = None) -> str:
        """Adds attention of heads and the layer after it, (N, T, D)."""
        add, constant = self.graph.add, self.graph.constant
        scaled = add("Mul", queries, constant(self.shape.head_size**-0.5, np.float32))
        scores = add("MatMul", scaled, add("Transpose", keys, perm=[0, 1, 3, 2]))
        if is_seen is not None:
            scores = add("Where", is_seen, scores, constant(-np.inf, np.float32))
        taken = add("MatMul", add("Softmax", scores, axis=-1), values)
        joined = add("Reshape", add("Transpose", taken, perm=[0, 2, 1, 3]), constant([0, 0, -1], np.int64))
        return self.linear(joined, name)
