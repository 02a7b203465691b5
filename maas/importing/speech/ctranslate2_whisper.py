"""A Whisper of CTranslate2 as transformers has it: the same weights by other names, and what its folder says of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError, one_line
from maas.importing.speech.ctranslate2_file import Variables, read_ctranslate2

MODEL_FILE, CONFIG_FILE, TOKENIZER_FILE = "model.bin", "config.json", "tokenizer.json"
WHISPER_KIND = "WhisperSpec"
PROJECTION = "decoder/projection/weight"
NORM_ENDS = {"beta": "bias", "gamma": "weight"}
"""Of a norm's variables."""


class CTranslate2Whisper(NamedTuple):
    """What a folder of CTranslate2 holds.

    Args:
        config: arguments of transformers' `WhisperConfig`.
        weights: by their names in transformers.
        tokenizer: content of `tokenizer.json`.
        suppressed_tokens: ids of tokens that are never written.
        suppressed_first: ids of tokens that are not written first.
    """

    config: dict[str, Any]
    weights: dict[str, NDArray[np.float32]]
    tokenizer: str
    suppressed_tokens: tuple[int, ...]
    suppressed_first: tuple[int, ...]


def read_whisper(folder: Path) -> CTranslate2Whisper:
    """Reads a folder.

    Raises:
        ConfigError: a file is missing or cannot be read, or it holds another model.
    """
    try:
        tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
        described = json.loads((folder / CONFIG_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} cannot be read as a Whisper of CTranslate2: {one_line(error)}.") from error
    if not isinstance(described, dict):
        raise ConfigError(f"{folder / CONFIG_FILE} holds no object; convert the model again.")
    file = read_ctranslate2(folder / MODEL_FILE)
    if file.kind != WHISPER_KIND:
        raise ConfigError(f"{folder / MODEL_FILE} holds a {file.kind}; a Whisper is a {WHISPER_KIND}.")
    try:
        weights = dict(_renamed(file.variables))
        config = _config(weights, int(file.variables["encoder/num_heads"]))
    except KeyError as error:
        raise ConfigError(f"{folder / MODEL_FILE} lacks {error}; convert the model again.") from error
    except (IndexError, ValueError) as error:
        raise ConfigError(f"{folder / MODEL_FILE} is no Whisper that is known here: {one_line(error)}.") from error
    suppressed = (tuple(described.get(name) or ()) for name in ("suppress_ids", "suppress_ids_begin"))
    return CTranslate2Whisper(config, weights, tokenizer, *suppressed)


def _config(weights: Mapping[str, NDArray[np.float32]], heads: int) -> dict[str, Any]:
    """Returns the shape, which the weights have."""
    width, mels, _ = weights["model.encoder.conv1.weight"].shape
    stacks = {}
    for stack in ("encoder", "decoder"):
        layers = {name.split(".")[3] for name in weights if name.startswith(f"model.{stack}.layers.")}
        stacks[f"{stack}_layers"] = len(layers)
        stacks[f"{stack}_attention_heads"] = heads
        stacks[f"{stack}_ffn_dim"] = len(weights[f"model.{stack}.layers.0.fc1.weight"])
    return {
        "vocab_size": len(weights["model.decoder.embed_tokens.weight"]),
        "num_mel_bins": mels,
        "d_model": width,
        "max_source_positions": len(weights["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(weights["model.decoder.embed_positions.weight"]),
        "pad_token_id": None,
        **stacks,
    }


def _renamed(variables: Variables) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yields the weights of both stacks by their names in transformers."""
    for name, values in variables.items():
        stack, _, rest = name.partition("/")
        if values.dtype != np.float32 or name == PROJECTION:
            continue
        for place, part in _parts(rest, values):
            yield f"model.{stack}.{place}", part
    yield "proj_out.weight", variables[PROJECTION]


def _parts(name: str, values: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yields what a variable is in transformers: queries, keys and values are one matrix in CTranslate2.

    Args:
        name: without its stack, such as `layer_0/self_attention/linear_0/weight`.
        values: of the variable.
    """
    if name in RENAMED:
        yield RENAMED[name], values
        return
    *path, end = name.split("/")
    end = NORM_ENDS.get(end, end)
    if path[0] == "layer_norm" or path[0].startswith("conv"):
        yield f"{path[0]}.{end}", values
        return
    layer, part, within = f"layers.{path[0].removeprefix('layer_')}", path[1], path[2]
    if part == "ffn":
        yield f"{layer}.{FEED_FORWARD[within]}.{end}", values
        return
    attention = ATTENTIONS[part]
    if within == "layer_norm":
        yield f"{layer}.{attention}_layer_norm.{end}", values
        return
    joined = JOINED_LAYERS[attention, within]
    for projection, one in zip(joined, np.split(values, len(joined)), strict=True):
        if (projection, end) != ("k_proj", "bias"):  # which Whisper has none of: zeros
            yield f"{layer}.{attention}.{projection}.{end}", one


RENAMED = {
    "embeddings/weight": "embed_tokens.weight",
    "position_encodings/encodings": "embed_positions.weight",
}
FEED_FORWARD = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}
ATTENTIONS = {"self_attention": "self_attn", "attention": "encoder_attn"}
JOINED_LAYERS = {
    ("self_attn", "linear_0"): ("q_proj", "k_proj", "v_proj"),
    ("self_attn", "linear_1"): ("out_proj",),
    ("encoder_attn", "linear_0"): ("q_proj",),
    ("encoder_attn", "linear_1"): ("k_proj", "v_proj"),
    ("encoder_attn", "linear_2"): ("out_proj",),
}
"""Layers that are one in CTranslate2, by attention and name."""
