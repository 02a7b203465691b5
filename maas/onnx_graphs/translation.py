"""A sequence-to-sequence transformer as two graphs of standard operators: one reads texts, one writes a token of each.

- What the decoder looks at of a read text are keys and values that do not change: the graph that reads computes them
  once for all layers, and the graph that writes takes them as they are.
- Each run of the graph that writes adds a token to texts that all have as many tokens. Its own keys and values grow by
  that token: `past.NAME` (N, H, P, D / H) comes back as `present.NAME` (N, H, P + 1, D / H).
- Padding is masked by −∞ before the softmax, so that its weight is 0 and not merely small.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from maas.onnx_graphs.attention import AttentionLayers, AttentionShape, NamedWeights
from maas.onnx_graphs.building import model_of_nodes
from maas.runtime.generation.decoder import LOGITS, PAST, PRESENT
from maas.runtime.translation.graphs import MEMORY, SOURCE_TOKENS, WRITTEN_TOKENS

IS_SEEN = f"{MEMORY}is_seen"
"""Output of the graph that reads: which tokens of a text are looked at."""


@dataclass(frozen=True)
class Seq2SeqConfig(AttentionShape):
    """The shape of a sequence-to-sequence transformer; its heads' size is even.

    Args:
        frequencies: rotation of a position in radians, (D / 2H,).
        norm_epsilon: ε of RMSNorm, x / √(mean(x²) + ε).
    """

    frequencies: NDArray[np.float32]
    norm_epsilon: float


def encoder_graph(config: Seq2SeqConfig, weights: NamedWeights, *, opset: int) -> onnx.ModelProto:
    """Returns the graph that reads; the same arguments give the same bytes.

    Input for N texts: `source`, int64 (N, S), begun by token 0 and padded with it. Outputs: `memory.is_seen`, bool
    (N, 1, 1, S), and `memory.NAME`, float32 (N, H, S, D / H), for keys and values of each of the decoder's layers.

    Args:
        config: shape of the net.
        weights: of `maas.models.seq2seq.Seq2Seq`.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing.
    """
    layers = _Layers(config, weights, "encoder")
    add, constant = layers.graph.add, layers.graph.constant
    size = add("Squeeze", add("Shape", SOURCE_TOKENS, start=1, end=2))
    places = add("Range", constant(0, np.int64), size, constant(1, np.int64))
    zero = constant(0, np.int64)
    is_token = add("Or", add("Not", add("Equal", SOURCE_TOKENS, zero)), add("Equal", places, zero))
    add("Unsqueeze", is_token, constant([1, 2], np.int64), result=IS_SEEN)
    hidden, turns = add("Gather", layers.weight("embedding.weight"), SOURCE_TOKENS), layers.turns(places)
    for layer in range(config.encoder_layers):
        hidden = layers.encoder_block(hidden, f"encoder.{layer}", turns)
    memory = layers.norm(hidden, "encoder_norm")
    for layer in range(config.decoder_layers):
        for kind in ("key", "value"):
            layers.heads_of(memory, f"decoder.{layer}.cross.{kind}s", result=f"{MEMORY}{kind}.{layer}")
    model = model_of_nodes(layers.graph, opset=opset)
    declare = helper.make_tensor_value_info
    model.graph.input.append(declare(SOURCE_TOKENS, TensorProto.INT64, ["texts", "source_tokens"]))
    model.graph.output.append(declare(IS_SEEN, TensorProto.BOOL, ["texts", 1, 1, "source_tokens"]))
    model.graph.output.extend(config.declared(MEMORY, "source_tokens"))
    return model


def step_graph(config: Seq2SeqConfig, weights: NamedWeights, *, opset: int) -> onnx.ModelProto:
    """Returns the graph that writes; the same arguments give the same bytes.

    Inputs for N texts: `tokens`, int64 (N, 1), the newest ones; all outputs of the graph that reads; and `past.NAME`
    for each name of the state. Outputs: `logits`, float32 (N, V), after the newest token, and `present.NAME`.

    Args:
        config: shape of the net.
        weights: of `maas.models.seq2seq.Seq2Seq`.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing.
    """
    layers = _Layers(config, weights, "decoder")
    add, constant = layers.graph.add, layers.graph.constant
    embedding = layers.weight("embedding.weight")
    turns = layers.turns(add("Shape", f"{PAST}key.0", start=2, end=3))
    hidden = add("Gather", embedding, WRITTEN_TOKENS)  # (N, 1, D)
    for layer in range(config.decoder_layers):
        hidden = layers.decoder_block(hidden, layer, turns)
    last = add("Squeeze", layers.norm(hidden, "norm"), constant([1], np.int64))
    add("Gemm", last, embedding, result=LOGITS, transB=1)
    model = model_of_nodes(layers.graph, opset=opset)
    declare = helper.make_tensor_value_info
    model.graph.input.append(declare(WRITTEN_TOKENS, TensorProto.INT64, ["texts", 1]))
    model.graph.input.append(declare(IS_SEEN, TensorProto.BOOL, ["texts", 1, 1, "source_tokens"]))
    model.graph.input.extend([*config.declared(MEMORY, "source_tokens"), *config.declared(PAST, "positions")])
    model.graph.output.append(declare(LOGITS, TensorProto.FLOAT, ["texts", config.vocabulary_size]))
    model.graph.output.extend(config.declared(PRESENT, "present_positions"))
    return model


class _Layers(AttentionLayers):
    """The layers of a net as nodes of one graph."""

    net: ClassVar[str] = "maas.models.seq2seq.Seq2Seq"

    def __init__(self, config: Seq2SeqConfig, weights: NamedWeights, name: str) -> None:
        super().__init__(config, weights, name)
        self.config = config

    def norm(self, value: str, name: str) -> str:
        """Adds RMSNorm in standard operators."""
        add, constant = self.graph.add, self.graph.constant
        mean = add("ReduceMean", add("Mul", value, value), constant([-1], np.int64), keepdims=1)
        deviation = add("Sqrt", add("Add", mean, constant(self.config.norm_epsilon, np.float32)))
        return add("Mul", add("Div", value, deviation), self.weight(f"{name}.weight"))

    def turns(self, positions: str) -> tuple[str, str]:
        """Adds cosines and sines of the angles at positions (T,), (T, D / H) both."""
        add, constant = self.graph.add, self.graph.constant
        column = add("Unsqueeze", add("Cast", positions, to=TensorProto.FLOAT), constant([1], np.int64))
        angles = add("Mul", column, constant(self.config.frequencies, np.float32))
        angles = add("Concat", angles, angles, axis=1)
        return add("Cos", angles), add("Sin", angles)

    def turned(self, value: str, turns: tuple[str, str]) -> str:
        """Adds the rotation of heads by their positions."""
        add, cosine, sine = self.graph.add, *turns
        first, second = f"{value}/first", f"{value}/second"
        self.graph.add_several("Split", [value], [first, second], {"axis": -1, "num_outputs": 2})
        other = add("Concat", add("Neg", second), first, axis=-1)
        return add("Add", add("Mul", value, cosine), add("Mul", other, sine))

    def feed_forward(self, hidden: str, name: str) -> str:
        """Adds hidden + down(silu(gate(norm)) · up(norm))."""
        add, normed = self.graph.add, self.norm(hidden, f"{name}_norm")
        gate = self.linear(normed, f"{name}.gate")
        opened = add("Mul", add("Mul", gate, add("Sigmoid", gate)), self.linear(normed, f"{name}.up"))
        return add("Add", hidden, self.linear(opened, f"{name}.down"))

    def encoder_block(self, hidden: str, name: str, turns: tuple[str, str]) -> str:
        """Adds a block of the encoder."""
        normed, layer = self.norm(hidden, f"{name}.attention_norm"), f"{name}.attention"
        queries, keys = (self.turned(self.heads_of(normed, f"{layer}.{one}"), turns) for one in ("queries", "keys"))
        values = self.heads_of(normed, f"{layer}.values")
        hidden = self.graph.add("Add", hidden, self.attended(queries, keys, values, f"{layer}.output", IS_SEEN))
        return self.feed_forward(hidden, f"{name}.feed_forward")

    def decoder_block(self, hidden: str, number: int, turns: tuple[str, str]) -> str:
        """Adds a block of the decoder for one new token of each text."""
        add, name = self.graph.add, f"decoder.{number}"
        normed, layer = self.norm(hidden, f"{name}.attention_norm"), f"{name}.attention"
        queries, keys = (self.turned(self.heads_of(normed, f"{layer}.{one}"), turns) for one in ("queries", "keys"))
        values = self.heads_of(normed, f"{layer}.values")
        keys, values = (
            add("Concat", f"{PAST}{kind}.{number}", new, axis=2, result=f"{PRESENT}{kind}.{number}")
            for kind, new in (("key", keys), ("value", values))
        )
        hidden = add("Add", hidden, self.attended(queries, keys, values, f"{layer}.output"))
        queries = self.heads_of(self.norm(hidden, f"{name}.cross_norm"), f"{name}.cross.queries")
        keys, values = f"{MEMORY}key.{number}", f"{MEMORY}value.{number}"
        hidden = add("Add", hidden, self.attended(queries, keys, values, f"{name}.cross.output", IS_SEEN))
        return self.feed_forward(hidden, f"{name}.feed_forward")
