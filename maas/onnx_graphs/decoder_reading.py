"""From a decoder's graph back to its shape and weights, as `maas.onnx_graphs.decoder` took them."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from maas.errors import ExportError
from maas.onnx_graphs.decoder import FREQUENCIES, DecoderConfig, Weights
from maas.onnx_graphs.head_padding import padded_size, without_padding

EMBEDDING, HEAD, LAST_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
_Constants = Mapping[str, NDArray[np.float32]]


def read_decoder(model: onnx.ModelProto) -> tuple[DecoderConfig, Weights]:
    """Returns the shape of a decoder and its weights, (outputs, inputs) each, the rotation of a position among them.

    Args:
        model: graph of a bundle that generates, in float32.

    Raises:
        ExportError: it is another graph, or its weights are in fewer bits.
    """
    constants = {
        one.name: numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT
    }
    config = _config_of(model.graph, constants)
    try:
        weights = {name: values for layer in range(config.layers) for name, values in _layer(layer, config, constants)}
        names = (EMBEDDING, LAST_NORM) if config.is_tied else (EMBEDDING, LAST_NORM, HEAD)
        weights |= {name: constants[name] for name in names}
        weights[FREQUENCIES] = _frequencies(config, constants)
    except KeyError as error:
        raise ExportError(f"The graph has no weight {error} in float32. {_ADVICE}") from error
    return config, weights


_ADVICE = "Take the bundle in fp32 that it was made of, or export the model again."


def _config_of(graph: onnx.GraphProto, constants: _Constants) -> DecoderConfig:
    attentions = [node for node in graph.node if node.op_type == "GroupQueryAttention"]
    norms = [node for node in graph.node if node.op_type == "SkipSimplifiedLayerNormalization"]
    gate = constants.get("model.layers.0.mlp.gate_proj.weight")
    if not (attentions and norms and gate is not None and EMBEDDING in constants):
        raise ExportError(f"The graph is no decoder of maas in float32. {_ADVICE}")
    attention = {one.name: helper.get_attribute_value(one) for one in attentions[0].attribute}
    norm = {one.name: helper.get_attribute_value(one) for one in norms[0].attribute}
    vocabulary_size, hidden_size = constants[EMBEDDING].shape
    return DecoderConfig(
        layers=len(attentions),
        heads=int(attention["num_heads"]),
        kv_heads=int(attention["kv_num_heads"]),
        head_size=round(float(attention["scale"]) ** -2),
        hidden_size=hidden_size,
        intermediate_size=gate.shape[1],
        vocabulary_size=vocabulary_size,
        context_length=len(constants["rotary.cosines"]),
        norm_epsilon=float(norm["epsilon"]),
        is_tied=HEAD not in constants,
    )


def _layer(layer: int, config: DecoderConfig, constants: _Constants) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yields the weights of a layer by their names in transformers' Llama."""
    prefix, size = f"model.layers.{layer}", config.head_size
    rows = np.cumsum([config.heads, config.kv_heads]) * padded_size(size)
    for kind in ("weight", "bias"):
        packed = constants.get(f"{prefix}.self_attn.qkv_proj.{kind}")
        if packed is None and kind == "weight":
            raise KeyError(f"{prefix}.self_attn.qkv_proj.{kind}")
        for name, part in zip("qkv", () if packed is None else np.split(packed.T, rows), strict=False):
            yield f"{prefix}.self_attn.{name}_proj.{kind}", without_padding(part, size)
    output = constants[f"{prefix}.self_attn.o_proj.weight"]
    yield f"{prefix}.self_attn.o_proj.weight", without_padding(output, size).T
    for name in ("gate", "up", "down"):
        yield f"{prefix}.mlp.{name}_proj.weight", constants[f"{prefix}.mlp.{name}_proj.weight"].T
    for name in (f"{prefix}.input_layernorm.weight", f"{prefix}.post_attention_layernorm.weight"):
        yield name, constants[name]
    for name in (f"{prefix}.self_attn.o_proj", *(f"{prefix}.mlp.{one}_proj" for one in ("gate", "up", "down"))):
        if f"{name}.bias" in constants:
            yield f"{name}.bias", constants[f"{name}.bias"]


def _frequencies(config: DecoderConfig, constants: _Constants) -> NDArray[np.float32]:
    """Returns the rotation of a position in radians, (head_size / 2,), by the tables' row of position 1."""
    cosines, sines = (constants[f"rotary.{name}"][1].astype(np.float64) for name in ("cosines", "sines"))
    found: NDArray[np.float32] = np.arctan2(sines, cosines)[: config.head_size // 2].astype(np.float32)
    return found
