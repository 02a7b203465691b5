"""A Whisper of a few thousand random parameters: as a folder of Hugging Face, of CTranslate2, and as a checkpoint.

Its windows are one second long, and its texts end, some early and some never.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

RATE, WINDOW = 16000, 16000
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
SUPPRESSED, SUPPRESSED_FIRST = [1, 2, 7, 40], [0, 9]
TYPES = {"float32": 0, "int8": 1, "int16": 2, "float16": 4, "bfloat16": 5}


def tokenizer() -> Tokenizer:
    """Returns byte-level BPE of 284 tokens, the special ones first."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[AddedToken(one, special=True) for one in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([" turn on the light", " the heater is off now"], trainer)
    return made


def config(**changes: Any) -> WhisperConfig:
    """Returns the shape: two layers each, 50 frames, 24 positions."""
    return WhisperConfig(
        **{
            "vocab_size": tokenizer().get_vocab_size(), "num_mel_bins": 16, "d_model": 32, "encoder_layers": 2,
            "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48, "max_source_positions": 50, "max_target_positions": 24, "init_std": 0.2,
            "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 280, "decoder_start_token_id": 1,
        }
        | changes
    )  # fmt: skip


def whisper(**changes: Any) -> WhisperForConditionalGeneration:
    """Returns a net of random weights that looks at what it hears."""
    torch.manual_seed(5)
    made = WhisperForConditionalGeneration(config(**changes)).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith("bias") or "layer_norm" in name:
                weight.add_(0.1 * torch.randn_like(weight))
            if "encoder_attn" in name or "encoder.layer_norm" in name:
                weight.mul_(3.0)
        made.model.decoder.embed_tokens.weight[0] *= 4.0  # the end is likely or unlikely, and seldom in between
    return made


def save(folder: Path, **changes: Any) -> Path:
    """Writes a folder as transformers does, and returns it."""
    made = whisper(**changes)
    made.generation_config = GenerationConfig(
        suppress_tokens=SUPPRESSED, begin_suppress_tokens=SUPPRESSED_FIRST, eos_token_id=0, decoder_start_token_id=1
    )
    made.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer(), eos_token=SPECIAL[0]).save_pretrained(folder)
    return folder


def sounds(count: int, seconds: float = 0.7) -> list[np.ndarray[Any, Any]]:
    """Returns tones that differ in pitch and loudness, some a little longer than others."""
    random = np.random.default_rng(3)
    found = []
    for number in range(count):
        times = np.arange(int(RATE * (seconds + 0.01 * number))) / RATE
        tone = np.sin(2 * np.pi * random.uniform(100, 3000) * times * (1 + random.uniform(0, 1) * times))
        found.append((random.uniform(0.05, 0.9) * tone + 0.01 * random.normal(size=len(times))).astype(np.float32))
    return found


def save_ctranslate2(folder: Path, stored: str = "float32") -> Path:
    """Writes the same net as CTranslate2's converter does, and returns the folder.

    Args:
        folder: to write.
        stored: how matrices are stored; all else is float32.
    """
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(tokenizer().to_str(), encoding="utf-8")
    described = {"suppress_ids": SUPPRESSED, "suppress_ids_begin": SUPPRESSED_FIRST, "lang_ids": []}
    (folder / "config.json").write_text(json.dumps(described))
    variables = dict(_quantised(_joined(whisper().state_dict()), stored))
    content = struct.pack("<I", 6) + _text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, (kind, values) in sorted(variables.items()):
        content += _text(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        content += struct.pack("<BI", TYPES[kind], values.nbytes) + values.tobytes()
    content += struct.pack("<I", 1) + _text("decoder/projection/weight") + _text("decoder/embeddings/weight")
    (folder / "model.bin").write_bytes(content)
    return folder


def _text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def _joined(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Returns weights by CTranslate2's names: queries, keys and values of a layer are one matrix."""
    weights = {name.removeprefix("model."): one.numpy() for name, one in state.items()}
    found: dict[str, np.ndarray[Any, Any]] = {
        "decoder/embeddings/weight": weights["decoder.embed_tokens.weight"],
        "encoder/num_heads": np.array(4, np.int16),
        "decoder/scale_embeddings": np.array(0, np.int8),
    }

    def linear(name: str, *parts: str) -> None:
        found[f"{name}/weight"] = np.concatenate([weights[f"{one}.weight"] for one in parts])
        zeros = np.zeros(32, np.float32)  # keys have no bias
        found[f"{name}/bias"] = np.concatenate([weights.get(f"{one}.bias", zeros) for one in parts])

    def norm(name: str, part: str) -> None:
        found[f"{name}/gamma"], found[f"{name}/beta"] = weights[f"{part}.weight"], weights[f"{part}.bias"]

    for number in (1, 2):
        linear(f"encoder/conv{number}", f"encoder.conv{number}")
    for stack in ("encoder", "decoder"):
        found[f"{stack}/position_encodings/encodings"] = weights[f"{stack}.embed_positions.weight"]
        norm(f"{stack}/layer_norm", f"{stack}.layer_norm")
        for layer in range(2):
            ours, theirs = f"{stack}/layer_{layer}", f"{stack}.layers.{layer}"
            own = [f"{theirs}.self_attn.{one}_proj" for one in ("q", "k", "v", "out")]
            linear(f"{ours}/self_attention/linear_0", *own[:3])
            linear(f"{ours}/self_attention/linear_1", own[3])
            norm(f"{ours}/self_attention/layer_norm", f"{theirs}.self_attn_layer_norm")
            if stack == "decoder":
                cross = [f"{theirs}.encoder_attn.{one}_proj" for one in ("q", "k", "v", "out")]
                linear(f"{ours}/attention/linear_0", cross[0])
                linear(f"{ours}/attention/linear_1", *cross[1:3])
                linear(f"{ours}/attention/linear_2", cross[3])
                norm(f"{ours}/attention/layer_norm", f"{theirs}.encoder_attn_layer_norm")
            linear(f"{ours}/ffn/linear_0", f"{theirs}.fc1")
            linear(f"{ours}/ffn/linear_1", f"{theirs}.fc2")
            norm(f"{ours}/ffn/layer_norm", f"{theirs}.final_layer_norm")
    return found


def _quantised(variables: dict[str, np.ndarray[Any, Any]], stored: str) -> Any:
    """Yields each variable with its type, and the scales of those that are quantised."""
    for name, values in variables.items():
        if values.ndim < 2 or stored == "float32":
            yield name, ({"f": "float32", "i": f"int{8 * values.itemsize}"}[values.dtype.kind], values)
        elif stored == "float16":
            yield name, (stored, values.astype(np.float16))
        elif stored == "bfloat16":
            yield name, (stored, (values.view(np.uint32) >> 16).astype(np.uint16))
        elif stored == "int16":
            scale = np.float32(2**10 / np.abs(values).max())
            yield name, (stored, np.rint(values * scale).astype(np.int16))
            yield f"{name}_scale", ("float32", np.asarray(scale))
        else:
            largest = np.abs(values.reshape(len(values), -1)).max(axis=1)
            scale = (127 / np.where(largest, largest, 127)).astype(np.float32)
            rows = scale.reshape(-1, *[1] * (values.ndim - 1))
            yield name, (stored, np.rint(values * rows).astype(np.int8))
            yield f"{name}_scale", ("float32", scale)


LANGUAGES = ["en", "de", "zh"]
STEPS = 50
TIMED_SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", *(f"<|{one}|>" for one in LANGUAGES), "<|translate|>", "<|transcribe|>",
    "<|startofprev|>", "<|notimestamps|>", *(f"<|{step * 0.02:.2f}|>" for step in range(STEPS + 1)),
]  # fmt: skip


def timed_tokenizer() -> Tokenizer:
    """Returns byte-level BPE whose special tokens come last, marks of time the very last, as those of Whisper do."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    made.train_from_iterator([" turn on the light", " the heater is off now"], trainer)
    made.add_special_tokens([AddedToken(one, special=True) for one in TIMED_SPECIAL])
    return made


def save_timed(folder: Path, seed: int = 5, *, is_multilingual: bool = True) -> Path:
    """Writes a net of random weights that writes marks of time, and knows three languages or one."""
    numbers = timed_tokenizer()
    ids = {one: numbers.token_to_id(one) for one in TIMED_SPECIAL}
    end, start, plain = (ids[one] for one in ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"))
    torch.manual_seed(seed)
    made = WhisperForConditionalGeneration(
        config(vocab_size=numbers.get_vocab_size(), max_target_positions=40, bos_token_id=end, eos_token_id=end,
               pad_token_id=end, decoder_start_token_id=start, init_std=0.25)
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith("bias") or "layer_norm" in name:
                weight.add_(0.1 * torch.randn_like(weight))
            if "encoder_attn" in name or "encoder.layer_norm" in name:
                weight.mul_(3.0)
        made.model.decoder.embed_tokens.weight[plain + 1 :] *= 1.5  # times are as likely as words
    known = {"lang_to_id": {f"<|{one}|>": ids[f"<|{one}|>"] for one in LANGUAGES},
             "task_to_id": {one: ids[f"<|{one}|>"] for one in ("translate", "transcribe")}}  # fmt: skip
    made.generation_config = GenerationConfig(
        suppress_tokens=[7, 40, *(ids[one] for one in TIMED_SPECIAL[1:8])], begin_suppress_tokens=[9, end],
        eos_token_id=end, bos_token_id=end, pad_token_id=end, decoder_start_token_id=start, max_length=40,
        no_timestamps_token_id=plain, max_initial_timestamp_index=10, is_multilingual=is_multilingual,
        prev_sot_token_id=ids["<|startofprev|>"], **(known if is_multilingual else {}),
    )  # fmt: skip
    made.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=numbers, eos_token="<|endoftext|>").save_pretrained(folder)
    return folder
