"""GGUF files: the library's reader and transformers open them, with the same weights, tokens and texts."""

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers

from maas.errors import ExportError
from maas.handover.gguf_file import write_gguf
from maas.importing.decoders.gguf_tokenizer import gguf_tokenizer
from maas.importing.decoders.pretrained import PretrainedDecoder

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")


def test_transformers_generates_as_the_bundle_when_it_opens_the_file(
    handed, bundle, decoder, tiny_llama, same_tokens, tmp_path, request
):
    if handed.rotation.factor != 1:
        pytest.skip("transformers 4.57 reads no scaled rotation of a GGUF file")
    path = tmp_path / "model.gguf"
    write_gguf(handed, path, "f32")
    found = PretrainedDecoder.open(str(path))
    for name, values in decoder.weights.items():
        np.testing.assert_allclose(found.weights[name], values, rtol=1e-6, err_msg=name)
    tokenizer = Tokenizer.from_str(found.text_files.tokenizer)

    def tokens_of(prompt):
        return tokenizer.encode(prompt).ids if isinstance(prompt, str) else bundle.generator.encode(prompt).tolist()

    same_tokens(bundle, found.model, tokens_of, tiny_llama.PROMPTS)
    assert found.text_files.end_tokens == bundle.manifest.generation.end_tokens
    assert found.text_files.chat_template == tiny_llama.TEMPLATE


def test_reader_finds_the_shape_when_it_opens_the_file(handed, tmp_path):
    write_gguf(handed, tmp_path / "model.gguf", "f32")
    fields = {name: field.contents() for name, field in gguf.GGUFReader(tmp_path / "model.gguf").fields.items()}
    kind, config = handed.architecture, handed.config
    assert fields["general.architecture"] == kind
    assert fields[f"{kind}.rope.freq_base"] == pytest.approx(handed.rotation.base)
    assert fields.get(f"{kind}.rope.scaling.factor", 1.0) == handed.rotation.factor
    assert (fields[f"{kind}.attention.head_count"], fields[f"{kind}.attention.head_count_kv"]) == (
        config.heads, config.kv_heads,
    )  # fmt: skip
    assert fields[f"{kind}.attention.key_length"] == fields[f"{kind}.rope.dimension_count"] == config.head_size
    assert len(fields["tokenizer.ggml.tokens"]) == config.vocabulary_size
    assert fields["tokenizer.ggml.token_type"][:3] == [3, 3, 1]


@pytest.mark.parametrize(("weights", "kinds"), [("f16", {"F32", "F16"}), ("q8_0", {"F32", "F16", "Q8_0"})])
def test_matrices_are_rounded_when_they_are_stored_in_fewer_bits(tiny_llama, bundle_of, tmp_path, weights, kinds):
    from maas.handover.decoder import HandedDecoder

    folder = tmp_path / "decoder"
    decoder = PretrainedDecoder.open(str(tiny_llama.save(folder, hidden_size=64, intermediate_size=80)))
    path = tmp_path / "model.gguf"
    write_gguf(HandedDecoder.of(bundle_of(decoder)), path, weights)
    reader = gguf.GGUFReader(path)
    assert {one.tensor_type.name for one in reader.tensors} == kinds
    assert {one.tensor_type.name for one in reader.tensors if one.name.endswith("norm.weight")} == {"F32"}
    (up,) = (one for one in reader.tensors if one.name == "blk.1.ffn_up.weight")
    (down,) = (one for one in reader.tensors if one.name == "blk.1.ffn_down.weight")  # rows of 80 numbers
    assert down.tensor_type.name == "F16"
    expected = decoder.weights["model.layers.1.mlp.up_proj.weight"]
    steps = np.abs(expected.reshape(-1, 32)).max(axis=1) / (254 if weights == "q8_0" else 2048)
    difference = np.abs(gguf.quants.dequantize(up.data, up.tensor_type) - expected).reshape(-1, 32).max(axis=1)
    assert (difference <= 1.2 * steps).all()
    assert difference.max() > 0


def test_same_bytes_are_written_when_it_is_done_twice(plain, tmp_path):
    for name in ("one", "other"):
        write_gguf(plain, tmp_path / name, "q8_0")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_first_token_is_added_when_the_tokenizer_adds_it(plain, with_tokenizer, tmp_path):
    first = {
        "type": "TemplateProcessing", "pair": [],
        "single": [{"SpecialToken": {"id": "<|start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<|start|>": {"id": "<|start|>", "ids": [1], "tokens": ["<|start|>"]}},
    }  # fmt: skip
    model = with_tokenizer(plain, post_processor=first)
    write_gguf(model, tmp_path / "model.gguf", "f32")
    tokenizer = Tokenizer.from_str(gguf_tokenizer(tmp_path / "model.gguf").tokenizer)
    assert tokenizer.encode("the").ids == model.tokenizer.encode("the").ids
    assert tokenizer.encode("the").ids[0] == 1


def test_tokenizer_is_refused_when_gguf_has_no_word_for_it(plain, with_tokenizer, tmp_path):
    import json

    model = json.loads(plain.tokenizer_json)["model"]
    token = {**json.loads(plain.tokenizer_json)["added_tokens"][0], "lstrip": True}
    split = {"type": "Whitespace"}
    for parts, message in [
        ({"normalizer": {"type": "NFC"}}, "changes texts before it splits them"),
        ({"pre_tokenizer": split}, "splits texts by a rule of kind Whitespace that is none of gpt-2, smollm"),
        ({"added_tokens": [token]}, "takes blanks beside it along"),
        ({"model": {**model, "merges": [], "byte_fallback": True}}, "is of characters and bytes; byte-level BPE"),
    ]:
        with pytest.raises(ExportError, match=message):
            write_gguf(with_tokenizer(plain, **parts), tmp_path / "model.gguf", "f32")


def test_file_is_refused_when_it_would_give_other_tokens(plain, tmp_path, monkeypatch):
    from maas.handover import gguf_vocabulary

    monkeypatch.setattr(gguf_vocabulary, "_split_of", lambda rule: "smollm")
    with pytest.raises(ExportError, match="The file's tokenizer gives other tokens for"):
        write_gguf(plain, tmp_path / "model.gguf", "f32")


def test_splits_are_known_by_their_rule_when_offsets_are_written_otherwise(plain, with_tokenizer):
    from maas.handover.gguf_vocabulary import GgufVocabulary

    digits = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False),
        ]
    )
    tokenizer = Tokenizer.from_str(plain.tokenizer_json)
    tokenizer.pre_tokenizer = digits
    assert GgufVocabulary.of(tokenizer.to_str(), 400).split == "smollm"
    assert GgufVocabulary.of(tokenizer.to_str(), 400).tokens[-1] == "[PAD399]"
