"""A decoder as a folder of Hugging Face, which vLLM, transformers, SGLang and TGI open.

Source: https://huggingface.co/docs/transformers/main_classes/configuration, /main_classes/text_generation
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from maas.files import write_json
from maas.handover.decoder import HandedDecoder

CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
NUMBER_TYPES = {"f32": "float32", "f16": "float16"}


def write_hugging_face_folder(model: HandedDecoder, folder: Path, weights: str) -> None:
    """Writes configuration, weights, tokenizer and chat template; the same decoder gives the same bytes.

    Args:
        model: decoder.
        folder: empty folder.
        weights: `f32`, or `f16`, which are rounded.

    Raises:
        ExportError: float16 does not hold a weight.
    """
    if weights == "f16":
        model.require_float16()
    kind = np.dtype(NUMBER_TYPES[weights])
    tensors = {name: np.ascontiguousarray(values, dtype=kind) for name, values in model.weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", _config(model, NUMBER_TYPES[weights]))
    write_json(folder / "generation_config.json", {**_special_ids(model), "do_sample": False})
    write_json(folder / "tokenizer_config.json", _tokenizer_config(model))
    (folder / "tokenizer.json").write_text(model.tokenizer_json, encoding="utf-8")
    if model.chat_template is not None:
        (folder / "chat_template.jinja").write_bytes(model.chat_template.encode())


def _config(model: HandedDecoder, kind: str) -> dict[str, object]:
    config, rotation = model.config, model.rotation
    own = {"attention_bias": False, "mlp_bias": False} if model.architecture == "llama" else {}
    scaling = {"rope_type": "linear", "factor": rotation.factor} if rotation.factor != 1 else None
    return {
        "architectures": [CLASSES[model.architecture]],
        "model_type": model.architecture,
        **_special_ids(model),
        **own,
        "attention_dropout": 0.0,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.context_length,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "rms_norm_eps": float(np.format_float_positional(np.float32(config.norm_epsilon), unique=True)),
        "rope_scaling": scaling,
        "rope_theta": rotation.base,
        "tie_word_embeddings": config.is_tied,
        "torch_dtype": kind,
        "use_cache": True,
        "vocab_size": config.vocabulary_size,
    }


def _special_ids(model: HandedDecoder) -> dict[str, int | list[int] | None]:
    """Returns the ids of what begins, pads and ends texts; several ends are a list."""
    ends = list(model.generation.end_tokens)
    first = model.first_token
    return {
        "bos_token_id": model.special_id("bos_token") if first is None else first,
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": model.special_id("pad_token") if "pad_token" in model.generation.special_tokens else None,
    }


def _tokenizer_config(model: HandedDecoder) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": model.config.context_length,
        **model.generation.special_tokens,
    }
