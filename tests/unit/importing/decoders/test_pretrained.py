"""Decoders from folders: what is read of them, and which are refused."""

import json

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from maas.errors import ConfigError
from maas.importing.decoders.pretrained import PretrainedDecoder


def changed(folder, tmp_path, **changes):
    """Copies a folder of Hugging Face with other values in its configuration."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    return str(tmp_path)


def test_decoder_has_its_shape_and_its_tokens_when_a_folder_is_opened(llama, llama_folder, tiny_llama):
    config = llama.config
    assert (config.layers, config.heads, config.kv_heads, config.head_size) == (2, 4, 2, 16)
    assert (config.vocabulary_size, config.context_length, config.is_tied) == (320, 128, True)
    assert llama.text_files.chat_template == tiny_llama.TEMPLATE
    assert llama.text_files.end_tokens == (0,)
    assert llama.text_files.special_tokens == {"eos_token": "<|end|>"}
    assert llama.origin == str(llama_folder)


def test_tokenizer_gives_the_ids_of_transformers_when_it_is_read_from_its_file(llama_folder, generator):
    reference = AutoTokenizer.from_pretrained(llama_folder)
    for text in ("the model", "<|start|>user\n这是 🙂<|end|>", "1  2"):
        assert generator.encode(text).tolist() == reference(text)["input_ids"]


def test_logits_are_those_of_every_position_when_tokens_are_read(llama):
    tokens = torch.arange(4, 12)
    with torch.inference_mode():
        expected = llama.model(tokens[None]).logits[0]
    assert torch.equal(torch.from_numpy(llama.logits(tokens.numpy())), expected)


def test_context_is_smaller_when_it_is_set(llama_folder):
    assert PretrainedDecoder.open(str(llama_folder), 64).config.context_length == 64
    with pytest.raises(ConfigError, match="The context is 256 tokens; .* was trained with 128"):
        PretrainedDecoder.open(str(llama_folder), 256)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "has the activation gelu; decoders are exported that are computed as Llama"),
        (
            {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
            "has rotations of kind dynamic; decoders are exported that are computed as Llama",
        ),
    ],
)
def test_decoder_is_refused_when_it_is_computed_otherwise(llama_folder, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        PretrainedDecoder.open(changed(llama_folder, tmp_path, **changes))


def test_decoder_is_refused_when_it_is_of_another_architecture(llama_folder, tmp_path):
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=320, n_positions=8)).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((llama_folder / name).read_bytes())
    with pytest.raises(ConfigError, match="has the architecture gpt2; decoders are exported that are computed as"):
        PretrainedDecoder.open(str(tmp_path))


def test_decoder_is_refused_in_one_line_when_it_is_not_there(tmp_path, llama_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no config\.json; name a folder that transformers saved, or a GGUF"):
        PretrainedDecoder.open(str(tmp_path / "empty"))
    (tmp_path / "empty" / "config.json").write_bytes((llama_folder / "config.json").read_bytes())
    with pytest.raises(ConfigError, match="cannot be opened as a language model: ") as caught:
        PretrainedDecoder.open(str(tmp_path / "empty"))
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="There is no file or folder"):
        PretrainedDecoder.open(str(tmp_path / "missing"))
