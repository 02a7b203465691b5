"""Whisper as two graphs of standard operators: one reads the samples of a window, one writes a token of its text.

- The graph that reads makes the spectrogram as well, so that it takes samples alone; or a graph of its own makes that
  of a whole sound, of which the one that reads takes a window. It computes the keys and values that the decoder looks
  at once for all layers.
- The graph that writes takes them as they are, and keeps its own as that of `maas.onnx_graphs.translation` does:
  `past.NAME` (N, H, P, D / H) comes back as `present.NAME` (N, H, P + 1, D / H).

Source: Radford et al., Robust speech recognition via large-scale weak supervision, arXiv:2212.04356, §2.2.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from onnx import TensorProto, helper

from maas.onnx_graphs.attention import AttentionLayers, AttentionShape, NamedWeights
from maas.onnx_graphs.building import model_of_nodes
from maas.runtime.generation.decoder import LOGITS, PAST, PRESENT
from maas.runtime.processors.spoken_text import HOP
from maas.runtime.translation.graphs import MEMORY, SAMPLES, WRITTEN_TOKENS
from maas.runtime.translation.spectrograms import FRAME_SAMPLES, RANGE, SPECTROGRAM

WAVES, BANDS = "spectrogram.waves", "spectrogram.bands"
"""Names of the spectrogram's weights: cosines and sines under a window, (2F, 1, 400), and mel bands, (M, F)."""
LEAST_ENERGY = 1e-10
"""Least energy."""
NORM_EPSILON = 1e-5
ENCODER, DECODER = "model.encoder", "model.decoder"


@dataclass(frozen=True)
class WhisperShape(AttentionShape):
    """The shape of a Whisper.

    Args:
        frames: S, that the encoder gives for a window; it reads twice as many of the spectrogram.
        mels: M, bands of the spectrogram.
    """

    frames: int
    mels: int = 80

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return 2 * self.frames * HOP


def spectrogram_graph(shape: WhisperShape, weights: NamedWeights, *, opset: int) -> onnx.ModelProto:
    """Returns the graph of a whole sound's spectrogram; the same arguments give the same bytes.

    Input for N pieces of a sound: `samples`, float32 (N, T). Output: `spectrogram`, float32 (N, M, F), log10 of mel
    energies of the F = (T − 400) / 160 + 1 frames that lie in them.

    Args:
        shape: of the net.
        weights: as of `speech_encoder_graph`.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing.
    """
    layers = _Layers(shape, weights, "spectrogram")
    add, constant = layers.graph.add, layers.graph.constant
    energies = layers.energies(add("Unsqueeze", SAMPLES, constant([1], np.int64)))
    add("Mul", add("Log", energies), constant(1 / np.log(10), np.float32), result=SPECTROGRAM)
    model = model_of_nodes(layers.graph, opset=opset)
    declare = helper.make_tensor_value_info
    model.graph.input.append(declare(SAMPLES, TensorProto.FLOAT, ["pieces", "samples"]))
    model.graph.output.append(declare(SPECTROGRAM, TensorProto.FLOAT, ["pieces", shape.mels, "frames"]))
    return model


def speech_encoder_graph(
    shape: WhisperShape, weights: NamedWeights, *, opset: int, takes_samples: bool = True
) -> onnx.ModelProto:
    """Returns the graph that reads; the same arguments give the same bytes.

    Input for N windows: `samples`, float32 (N, 320 · S), filled up with silence, or `spectrogram`, float32 (N, M, 2S).
    Outputs: `memory.NAME`, float32 (N, H, S, D / H), for keys and values of each of the decoder's layers.

    Args:
        shape: of the net.
        weights: by their names in transformers' `WhisperForConditionalGeneration`, and those of the spectrogram.
        opset: ONNX operator set.
        takes_samples: whether it makes the spectrogram itself.

    Raises:
        ExportError: a weight is missing.
    """
    layers = _Layers(shape, weights, "encoder")
    add = layers.graph.add
    heard = layers.spectrogram(SAMPLES) if takes_samples else SPECTROGRAM
    hidden = layers.convolved(heard, f"{ENCODER}.conv1", stride=1)
    hidden = layers.convolved(hidden, f"{ENCODER}.conv2", stride=2)  # (N, D, S)
    hidden = add("Transpose", hidden, perm=[0, 2, 1])
    hidden = add("Add", hidden, layers.weight(f"{ENCODER}.embed_positions.weight"))
    for layer in range(shape.encoder_layers):
        hidden = layers.encoder_block(hidden, f"{ENCODER}.layers.{layer}")
    memory = layers.norm(hidden, f"{ENCODER}.layer_norm")
    for layer in range(shape.decoder_layers):
        for kind, short in (("key", "k"), ("value", "v")):
            name = f"{DECODER}.layers.{layer}.encoder_attn.{short}_proj"
            layers.heads_of(memory, name, result=f"{MEMORY}{kind}.{layer}")
    model = model_of_nodes(layers.graph, opset=opset)
    declare = helper.make_tensor_value_info
    size = (SAMPLES, shape.samples) if takes_samples else (SPECTROGRAM, shape.mels, 2 * shape.frames)
    model.graph.input.append(declare(size[0], TensorProto.FLOAT, ["texts", *size[1:]]))
    model.graph.output.extend(shape.declared(MEMORY, shape.frames))
    return model


def speech_step_graph(shape: WhisperShape, weights: NamedWeights, *, opset: int) -> onnx.ModelProto:
    """Returns the graph that writes; the same arguments give the same bytes.

    Inputs for N texts: `tokens`, int64 (N, 1), the newest ones; all outputs of the graph that reads; and `past.NAME`
    for each name of the state. Outputs: `logits`, float32 (N, V), after the newest token, and `present.NAME`.

    Args:
        shape: of the net.
        weights: as of `speech_encoder_graph`.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing.
    """
    layers = _Layers(shape, weights, "decoder")
    add, constant = layers.graph.add, layers.graph.constant
    embedding = layers.weight(f"{DECODER}.embed_tokens.weight")
    position = add("Shape", f"{PAST}key.0", start=2, end=3)
    placed = add("Gather", layers.weight(f"{DECODER}.embed_positions.weight"), position)  # (1, D)
    hidden = add("Add", add("Gather", embedding, WRITTEN_TOKENS), placed)  # (N, 1, D)
    for layer in range(shape.decoder_layers):
        hidden = layers.decoder_block(hidden, layer)
    last = add("Squeeze", layers.norm(hidden, f"{DECODER}.layer_norm"), constant([1], np.int64))
    add("Gemm", last, embedding, result=LOGITS, transB=1)
    model = model_of_nodes(layers.graph, opset=opset)
    declare = helper.make_tensor_value_info
    model.graph.input.append(declare(WRITTEN_TOKENS, TensorProto.INT64, ["texts", 1]))
    model.graph.input.extend([*shape.declared(MEMORY, shape.frames), *shape.declared(PAST, "positions")])
    model.graph.output.append(declare(LOGITS, TensorProto.FLOAT, ["texts", shape.vocabulary_size]))
    model.graph.output.extend(shape.declared(PRESENT, "present_positions"))
    return model


class _Layers(AttentionLayers):
    """The layers of a Whisper as nodes of one graph."""

    net: ClassVar[str] = "transformers' WhisperForConditionalGeneration"

    def spectrogram(self, samples: str) -> str:
        """Adds log10 of mel energies, (N, M, 2S), from `RANGE` below the largest on, brought to about [−1, 1]."""
        add, constant = self.graph.add, self.graph.constant
        around = constant([0, FRAME_SAMPLES // 2, 0, FRAME_SAMPLES // 2], np.int64)
        padded = add("Unsqueeze", add("Pad", samples, around, mode="reflect"), constant([1], np.int64))
        energies = self.energies(padded, is_last_frame_left_out=True)
        logs = add("Mul", add("Log", energies), constant(1 / np.log(10), np.float32))
        largest = add("ReduceMax", logs, constant([1, 2], np.int64), keepdims=1)
        kept = add("Max", logs, add("Sub", largest, constant(RANGE, np.float32)))
        return add("Div", add("Add", kept, constant(4, np.float32)), constant(4, np.float32))

    def energies(self, samples: str, *, is_last_frame_left_out: bool = False) -> str:
        """Adds mel energies of frames, at least `LEAST_ENERGY`, (N, 1, T) → (N, M, F)."""
        add, constant = self.graph.add, self.graph.constant
        waves = add("Conv", samples, self.weight(WAVES), strides=[HOP])
        if is_last_frame_left_out:
            waves = add("Slice", waves, *(constant([one], np.int64) for one in (0, -1, 2)))
        real, imaginary = f"{waves}/real", f"{waves}/imaginary"
        self.graph.add_several("Split", [waves], [real, imaginary], {"axis": 1, "num_outputs": 2})
        power = add("Add", add("Mul", real, real), add("Mul", imaginary, imaginary))
        return add("Max", add("MatMul", self.weight(BANDS), power), constant(LEAST_ENERGY, np.float32))

    def convolved(self, value: str, name: str, *, stride: int) -> str:
        """Adds a convolution over time and its activation, (N, C, T) → (N, D, T / stride)."""
        weights = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.activated(self.graph.add("Conv", value, *weights, pads=[1, 1], strides=[stride]))

    def activated(self, value: str) -> str:
        """Adds GELU, x · (1 + erf(x / √2)) / 2."""
        add, constant = self.graph.add, self.graph.constant
        rising = add("Erf", add("Div", value, constant(np.sqrt(2), np.float32)))
        return add("Mul", add("Mul", value, add("Add", rising, constant(1, np.float32))), constant(0.5, np.float32))

    def norm(self, value: str, name: str) -> str:
        """Adds a norm of layers."""
        weights = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.graph.add("LayerNormalization", value, *weights, axis=-1, epsilon=NORM_EPSILON)

    def feed_forward(self, hidden: str, name: str) -> str:
        """Adds hidden + fc2(gelu(fc1(norm)))."""
        opened = self.activated(self.linear(self.norm(hidden, f"{name}.final_layer_norm"), f"{name}.fc1"))
        return self.graph.add("Add", hidden, self.linear(opened, f"{name}.fc2"))

    def encoder_block(self, hidden: str, name: str) -> str:
        """Adds a block of the encoder."""
        normed, layer = self.norm(hidden, f"{name}.self_attn_layer_norm"), f"{name}.self_attn"
        queries, keys, values = (self.heads_of(normed, f"{layer}.{one}_proj") for one in "qkv")
        hidden = self.graph.add("Add", hidden, self.attended(queries, keys, values, f"{layer}.out_proj"))
        return self.feed_forward(hidden, name)

    def decoder_block(self, hidden: str, number: int) -> str:
        """Adds a block of the decoder for one new token of each text."""
        add, name = self.graph.add, f"{DECODER}.layers.{number}"
        normed, layer = self.norm(hidden, f"{name}.self_attn_layer_norm"), f"{name}.self_attn"
        queries, *new = (self.heads_of(normed, f"{layer}.{one}_proj") for one in "qkv")
        keys, values = (
            add("Concat", f"{PAST}{kind}.{number}", one, axis=2, result=f"{PRESENT}{kind}.{number}")
            for kind, one in zip(("key", "value"), new, strict=True)
        )
        hidden = add("Add", hidden, self.attended(queries, keys, values, f"{layer}.out_proj"))
        normed, layer = self.norm(hidden, f"{name}.encoder_attn_layer_norm"), f"{name}.encoder_attn"
        queries, keys, values = (
            self.heads_of(normed, f"{layer}.q_proj"),
            f"{MEMORY}key.{number}",
            f"{MEMORY}value.{number}",
        )
        hidden = add("Add", hidden, self.attended(queries, keys, values, f"{layer}.out_proj"))
        return self.feed_forward(hidden, name)
