"""A decoder of the Llama family as one graph that both reads prompts and continues them, with its keys and values kept.

Why this form, by what ONNX Runtime's operators do:

- `GroupQueryAttention` (com.microsoft) writes new keys and values into the buffers that it reads when input and output
  are the same memory: a step copies no cache. It takes the length of each sequence, so that sequences of unequal
  length are computed together and padding is never attended to. A standard `Attention` concatenates, which copies the
  whole cache at every step.
- It rotates queries and keys itself, by tables of cosines and sines: positions follow from the lengths.
- One graph for prompts and steps holds the weights once in memory; two files would hold them twice.
- The head is the widest matrix; it is applied to the last token of each sequence alone, and so is the last layer's MLP.

Limits of the operator on a CPU: sequences that are not empty are extended by one token each, or one sequence alone by
several. Heads whose size is no multiple of 16 are made wider by zeros.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from maas.errors import ExportError
from maas.onnx_graphs.building import MICROSOFT, GraphBuilder, model_of_nodes
from maas.onnx_graphs.head_padding import padded_frequencies, padded_size, with_padded_heads
from maas.records.signature import TensorSpec
from maas.runtime.generation.decoder import LAST_POSITIONS, LOGITS, PAST, PRESENT, TOKENS, TOTAL_LENGTH

Weights = Mapping[str, NDArray[np.float32]]
"""Weights by their names in transformers' `LlamaForCausalLM`; matrices are (outputs, inputs)."""

FREQUENCIES = "model.rotary_emb.inv_freq"
"""Optional name among the weights: the rotation of a position in radians, (head_size / 2,)."""


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder: pre-norm, rotary positions, grouped-query attention, SwiGLU.

    Args:
        layers: number of layers.
        heads: number of query heads.
        kv_heads: number of heads of keys and values, which divides `heads`.
        head_size: size of a head, even.
        hidden_size: size of a token's vector between layers.
        intermediate_size: size of a token's vector inside an MLP.
        vocabulary_size: number of tokens.
        context_length: largest number of tokens of a sequence.
        rotary_theta: base of the rotation: frequency i is theta^(−2i / head_size), unless the weights hold them.
        norm_epsilon: ε of RMSNorm, x / √(mean(x²) + ε).
        is_tied: whether the head is the embedding.
    """

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden_size: int
    intermediate_size: int
    vocabulary_size: int
    context_length: int
    rotary_theta: float = 10_000.0
    norm_epsilon: float = 1e-5
    is_tied: bool = True

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the tensors that are kept between runs."""
        return tuple(f"{kind}.{layer}" for layer in range(self.layers) for kind in ("key", "value"))


def state_of(config: DecoderConfig) -> tuple[TensorSpec, ...]:
    """Returns the tensors that the graph keeps between runs, (sequences, kv_heads, positions, head_size) each."""
    shape = (-1, config.kv_heads, -1, padded_size(config.head_size))
    return tuple(TensorSpec(name, "FP32", shape) for name in config.state_names)


def decoder_graph(config: DecoderConfig, weights: Weights, *, opset: int) -> onnx.ModelProto:
    """Returns the graph; the same arguments give the same bytes.

    Inputs for N sequences: `tokens`, int64 (N, T), the new ones, padded at their end; `last_positions`, int32 (N,), the
    position of the last new token of each sequence; `total_length`, int32 scalar, the largest of them plus 1; and
    `past.NAME` for each name of the state. Outputs: `logits`, float32 (N, vocabulary), after the last new token of
    each sequence; and `present.NAME`, which must be the memory of `past.NAME`.

    Args:
        config: shape of the decoder.
        weights: biases are added where there are any.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing, unknown or of another shape, or the size of a head is odd.
    """
    _require_shapes(config, weights)
    builder = _DecoderBuilder(config, weights)
    builder.build()
    model = model_of_nodes(builder.graph, opset=opset)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    _declare_(model.graph, config)
    return model


class _DecoderBuilder:
    """Nodes and weights of one graph."""

    def __init__(self, config: DecoderConfig, weights: Weights) -> None:
        self.config = config
        self.weights = with_padded_heads(weights, config.head_size)
        self.graph = GraphBuilder("decoder")
        self._picked: str | None = None

    def build(self) -> None:
        embedding = self.graph.weight("model.embed_tokens.weight", self.weights["model.embed_tokens.weight"])
        residual = self.graph.add("Gather", embedding, TOKENS)  # (N, T, hidden)
        tables = self._rotation()
        normed = self._first_norm(residual)
        for layer in range(self.config.layers):
            attended = self._attention(layer, normed, tables)
            if layer == self.config.layers - 1:
                attended, residual = self._last(attended), self._last(residual)  # (N, hidden) from here on
            prefix = f"model.layers.{layer}"
            projected = self._linear(attended, f"{prefix}.self_attn.o_proj")
            normed, residual = self._added_norm(projected, residual, f"{prefix}.post_attention_layernorm.weight")
            is_last = layer == self.config.layers - 1
            following = "model.norm.weight" if is_last else f"model.layers.{layer + 1}.input_layernorm.weight"
            normed, residual = self._added_norm(self._mlp(prefix, normed), residual, following)
        name = "model.embed_tokens.weight" if self.config.is_tied else "lm_head.weight"
        head = self.graph.weight(name, self.weights[name])
        self.graph.add("Gemm", normed, head, result=LOGITS, transB=1)

    def _attention(self, layer: int, normed: str, tables: tuple[str, str]) -> str:
        config, prefix = self.config, f"model.layers.{layer}.self_attn"
        packed = self._linear(normed, *(f"{prefix}.{one}_proj" for one in "qkv"))
        kept = [f"{kind}.{layer}" for kind in ("key", "value")]
        result = f"{prefix}/attended"
        self.graph.add_several(
            "GroupQueryAttention",
            [packed, "", "", *(PAST + name for name in kept), LAST_POSITIONS, TOTAL_LENGTH, *tables],
            [result, *(PRESENT + name for name in kept)],
            {"domain": MICROSOFT, "num_heads": config.heads, "kv_num_heads": config.kv_heads, "do_rotary": 1}
            | {"scale": config.head_size**-0.5},
        )
        return result

    def _mlp(self, prefix: str, normed: str) -> str:
        gate = self._linear(normed, f"{prefix}.mlp.gate_proj")
        up = self._linear(normed, f"{prefix}.mlp.up_proj")
        activated = self.graph.add("QuickGelu", gate, domain=MICROSOFT, alpha=1.0)  # x · σ(x)
        return self._linear(self.graph.add("Mul", activated, up), f"{prefix}.mlp.down_proj")

    def _linear(self, value: str, *names: str) -> str:
        """Adds one product with the matrices of several layers side by side, and their biases if they have any."""
        name = names[0] if len(names) == 1 else f"{names[0].rpartition('.')[0]}.qkv_proj"
        matrix = np.concatenate([self.weights[f"{one}.weight"] for one in names]).T
        product = self.graph.add("MatMul", value, self.graph.weight(f"{name}.weight", matrix))
        if f"{names[0]}.bias" not in self.weights:
            return product
        bias = np.concatenate([self.weights[f"{one}.bias"] for one in names])
        return self.graph.add("Add", product, self.graph.weight(f"{name}.bias", bias))

    def _first_norm(self, value: str) -> str:
        """Adds RMSNorm in standard operators, which ONNX Runtime fuses."""
        add, constant = self.graph.add, self.graph.constant
        square = add("Mul", value, value)
        mean = add("ReduceMean", square, constant([-1], np.int64), keepdims=1)
        deviation = add("Sqrt", add("Add", mean, constant(self.config.norm_epsilon, np.float32)))
        name = "model.layers.0.input_layernorm.weight"
        return add("Mul", add("Div", value, deviation), self.graph.weight(name, self.weights[name]))

    def _added_norm(self, value: str, residual: str, name: str) -> tuple[str, str]:
        """Adds value + residual and its RMSNorm, and returns the names of the norm and of the sum."""
        normed, total = f"{name}/normed", f"{name}/residual"
        self.graph.add_several(
            "SkipSimplifiedLayerNormalization",
            [value, residual, self.graph.weight(name, self.weights[name])],
            [normed, "", "", total] if name != "model.norm.weight" else [normed],
            {"domain": MICROSOFT, "epsilon": self.config.norm_epsilon},
        )
        return normed, total

    def _last(self, value: str) -> str:
        """Adds what picks the last new token of each sequence, (N, T, D) → (N, D).

        It is at `last_positions` where a prompt is read from its beginning, and at T − 1 anywhere else, which is never
        the larger one.
        """
        add, constant = self.graph.add, self.graph.constant
        if self._picked is None:
            positions = add("Cast", LAST_POSITIONS, to=TensorProto.INT64)
            size = add("Shape", TOKENS, start=1, end=2)
            newest = add("Sub", size, constant([1], np.int64))
            self._picked = add("Unsqueeze", add("Min", positions, newest), constant([1], np.int64))
        return add("GatherND", value, self._picked, batch_dims=1)

    def _rotation(self) -> tuple[str, str]:
        """Adds the tables of cosines and sines, (context_length, head_size / 2), and returns their names."""
        config = self.config
        own = config.rotary_theta ** -(np.arange(0, config.head_size, 2, dtype=np.float64) / config.head_size)
        frequencies = padded_frequencies(self.weights.get(FREQUENCIES, own.astype(np.float32)))
        angles = np.arange(config.context_length, dtype=np.float32)[:, None] * frequencies  # rounded as torch does
        cosines, sines = np.cos(angles, dtype=np.float64), np.sin(angles, dtype=np.float64)
        weight = self.graph.weight
        return weight("rotary.cosines", cosines.astype(np.float32)), weight("rotary.sines", sines.astype(np.float32))


def _declare_(graph: onnx.GraphProto, config: DecoderConfig) -> None:
    """Declares inputs and outputs, in place."""
    declare = helper.make_tensor_value_info
    kept: list[str | int | None] = ["sequences", config.kv_heads, "positions", padded_size(config.head_size)]
    graph.input.extend(
        [
            declare(TOKENS, TensorProto.INT64, ["sequences", "new_tokens"]),
            declare(LAST_POSITIONS, TensorProto.INT32, ["sequences"]),
            declare(TOTAL_LENGTH, TensorProto.INT32, []),
            *(declare(PAST + name, TensorProto.FLOAT, kept) for name in config.state_names),
        ]
    )
    graph.output.append(declare(LOGITS, TensorProto.FLOAT, ["sequences", config.vocabulary_size]))
    graph.output.extend(declare(PRESENT + name, TensorProto.FLOAT, kept) for name in config.state_names)


def _require_shapes(config: DecoderConfig, weights: Weights) -> None:
    """Requires the weights that the graph multiplies by, and no others.

    Raises:
        ExportError: one is missing, unknown or of another shape, or the size of a head is odd.
    """
    if config.head_size % 2:
        raise ExportError(f"The decoder has heads of size {config.head_size}; halves of a head are turned together.")
    shapes = _shapes(config)
    known = {*shapes, *(f"{name.removesuffix('weight')}bias" for name in shapes if "_proj" in name), FREQUENCIES}
    if unknown := sorted(weights.keys() - known - ({"lm_head.weight"} if config.is_tied else set())):
        raise ExportError(f"The decoder has the weight {unknown[0]}; the graph is that of transformers' Llama.")
    for name, shape in shapes.items():
        found = weights.get(name)
        if found is None:
            raise ExportError(f"The decoder has no weight {name}; the graph is that of transformers' Llama.")
        if found.shape != shape:
            raise ExportError(f"The decoder's {name} is of shape {found.shape}; by its configuration it is {shape}.")


def _shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    hidden, table = config.hidden_size, (config.vocabulary_size, config.hidden_size)
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": table, "model.norm.weight": (hidden,)}
    if not config.is_tied:
        shapes["lm_head.weight"] = table
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{one}layernorm.weight": (hidden,) for one in ("input_", "post_attention_")}
        shapes |= {f"{prefix}.self_attn.{one}_proj.weight": (keys, hidden) for one in "kv"}
        shapes[f"{prefix}.self_attn.q_proj.weight"] = (queries, hidden)
        shapes[f"{prefix}.self_attn.o_proj.weight"] = (hidden, queries)
        shapes |= {f"{prefix}.mlp.{one}_proj.weight": (config.intermediate_size, hidden) for one in ("gate", "up")}
        shapes[f"{prefix}.mlp.down_proj.weight"] = (hidden, config.intermediate_size)
    return shapes
