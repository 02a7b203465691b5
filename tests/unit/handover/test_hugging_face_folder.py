"""Folders of Hugging Face: transformers opens them, and generates token for token as the bundle."""

import filecmp
import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from maas.errors import ExportError
from maas.handover.hugging_face_folder import write_hugging_face_folder
from maas.importing.decoders.pretrained import PretrainedDecoder


def test_transformers_generates_as_the_bundle_when_it_opens_the_folder(
    handed, bundle, decoder, tiny_llama, same_tokens, tmp_path
):
    write_hugging_face_folder(handed, tmp_path, "f32")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.dtype == torch.float32
    for name, tensor in decoder.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name

    def tokens_of(prompt):
        if isinstance(prompt, str):
            found = tokenizer(prompt)
            assert found.keys() == {"input_ids", "attention_mask"}
            return found.input_ids
        return tokenizer.apply_chat_template(prompt, add_generation_prompt=True)

    same_tokens(bundle, model, tokens_of, tiny_llama.PROMPTS)
    assert model.generation_config.eos_token_id == 0
    assert tokenizer.eos_token == "<|end|>"


def test_configuration_says_what_the_decoder_is(handed, decoder, tmp_path):
    write_hugging_face_folder(handed, tmp_path, "f32")
    found, given = AutoConfig.from_pretrained(tmp_path), decoder.model.config
    for name in ("model_type", "hidden_size", "head_dim", "num_key_value_heads", "rope_theta", "rms_norm_eps",
                 "vocab_size", "max_position_embeddings", "tie_word_embeddings", "eos_token_id"):  # fmt: skip
        assert getattr(found, name) == getattr(given, name), name
    scaling = given.rope_scaling or {}
    assert (found.rope_scaling or {}).get("factor") == scaling.get("factor")
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == given.architectures


def test_bundle_made_of_the_folder_is_the_same_when_it_is_exported_again(handed, bundle, bundle_of, tmp_path):
    write_hugging_face_folder(handed, tmp_path, "f32")
    again = bundle_of(PretrainedDecoder.open(str(tmp_path)))
    assert again.manifest.generation == bundle.manifest.generation
    assert again.generate("the", max_tokens=24) == bundle.generate("the", max_tokens=24)


def test_same_bytes_are_written_when_it_is_done_twice(plain, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_hugging_face_folder(plain, tmp_path / name, "f32")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {
        "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "other", names, shallow=False)[0] == sorted(
        names, key=list(names).index
    )


def test_weights_are_rounded_when_they_are_stored_in_16_bits(plain, heavy, llama, tmp_path):
    write_hugging_face_folder(plain, tmp_path, "f16")
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert model.dtype == torch.float16
    for name, tensor in llama.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.half()), name
    with pytest.raises(ExportError, match=r"up_proj.weight holds 1e\+05, more than float16 can. Set weights=f32."):
        write_hugging_face_folder(heavy, tmp_path, "f16")
