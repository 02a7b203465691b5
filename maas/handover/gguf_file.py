"""A decoder as a GGUF file, which llama.cpp and what is built on it open.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; llama.cpp, convert_hf_to_gguf.py.
"""

import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.errors import ExportError
from maas.exporting.generation_proof import PROMPTS
from maas.handover.decoder import HandedDecoder, WeightType
from maas.handover.gguf_vocabulary import INSTEAD, GgufVocabulary
from maas.importing.base import needed
from maas.importing.decoders.gguf_tokenizer import gguf_tokenizer

if TYPE_CHECKING:  # an extra
    from gguf import GGUFWriter

OF_A_LAYER = re.compile(r"^model\.layers\.(\d+)\.(.+)\.(weight|bias)$")
OF_LAYERS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OF_THE_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
"""What GGUF calls the weights of transformers' Llama."""
FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
ROW_PART = 32
"""Numbers of a row that share a scale in Q8_0."""
ENDS = ("eos", "eot", "eom")
"""What GGUF calls tokens that end a text, in the order of a bundle's end tokens."""


def write_gguf(model: HandedDecoder, path: Path, weights: WeightType) -> None:
    """Writes the file; the same decoder gives the same bytes.

    Args:
        model: decoder.
        path: file to write.
        weights: `f32`; `f16` or `q8_0` for matrices, whose numbers are rounded. Vectors stay in float32, and matrices
            whose rows are no multiple of 32 in float16 instead of `q8_0`.

    Raises:
        ExportError: GGUF has no word for the tokenizer, or float16 does not hold a weight.
    """
    gguf = needed("gguf", "huggingface")
    vocabulary = GgufVocabulary.of(model.tokenizer_json, model.config.vocabulary_size)
    if weights != "f32":
        model.require_float16()
    writer = gguf.GGUFWriter(path, model.architecture)
    writer.add_name(model.name)
    writer.add_file_type(gguf.LlamaFileType[FILE_TYPES[weights]])
    if weights == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, gguf, model)
    _add_vocabulary(writer, vocabulary, model)
    for name, values in model.weights.items():
        _add_tensor(writer, gguf, _name_of(name), _ordered(name, values, model), weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    _require_same_tokens(path, model)


def _add_shape(writer: "GGUFWriter", gguf: ModuleType, model: HandedDecoder) -> None:
    config, rotation = model.config, model.rotation
    writer.add_vocab_size(config.vocabulary_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(rotation.base)
    if rotation.factor != 1:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rotation.factor)


def _add_vocabulary(writer: "GGUFWriter", vocabulary: GgufVocabulary, model: HandedDecoder) -> None:
    """Writes the tokenizer.

    Raises:
        ExportError: there are more end tokens than GGUF has names for.
    """
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.split)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    first, ends = model.first_token, model.generation.end_tokens
    if len(ends) > len(ENDS):
        raise ExportError(f"{len(ends)} tokens end a text; GGUF has names for {len(ENDS)}. {INSTEAD}")
    for name, token in zip(ENDS, ends, strict=False):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
    begins = model.special_id("bos_token") if first is None else first
    for name, index in (("bos", begins), ("padding", model.special_id("pad_token"))):
        if index is not None:
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", index)
    writer.add_add_bos_token(first is not None)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    if model.chat_template is not None:
        writer.add_chat_template(model.chat_template)


def _add_tensor(
    writer: "GGUFWriter", gguf: ModuleType, name: str, values: NDArray[np.float32], weights: WeightType
) -> None:
    if values.ndim == 1 or weights == "f32":
        writer.add_tensor(name, np.ascontiguousarray(values))
    elif weights == "f16" or values.shape[1] % ROW_PART:
        writer.add_tensor(name, values.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)


def _ordered(name: str, values: NDArray[np.float32], model: HandedDecoder) -> NDArray[np.float32]:
    """Returns queries and keys in the order of Llama in GGUF: a head's values that turn together are neighbours."""
    heads = {"q_proj": model.config.heads, "k_proj": model.config.kv_heads}.get(name.split(".")[-2])
    if heads is None or model.architecture != "llama":
        return values
    halves = values.reshape(heads, 2, model.config.head_size // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def _name_of(name: str) -> str:
    layer = OF_A_LAYER.match(name)
    return OF_THE_WHOLE[name] if layer is None else f"blk.{layer[1]}.{OF_LAYERS[layer[2]]}.{layer[3]}"


def _require_same_tokens(path: Path, model: HandedDecoder) -> None:
    """Reads the tokenizer back from the file, and compares the tokens of the texts that exports are proven with.

    Raises:
        ExportError: one has other tokens.
    """
    written = Tokenizer.from_str(gguf_tokenizer(path).tokenizer)
    texts = [*PROMPTS.read_text(encoding="utf-8").splitlines(), *model.generation.special_tokens.values()]
    for text in [*texts, "".join(texts), "  \n 12 345\t naïve 这是🙂"]:
        if written.encode(text).ids != model.tokenizer.encode(text).ids:
            raise ExportError(f"The file's tokenizer gives other tokens for {text[:60]!r}. {INSTEAD}")
