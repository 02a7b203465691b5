"""Tokenizers inside GGUF files, written by the library's own writer."""

import pytest

from maas.errors import ConfigError
from maas.importing.decoders.gguf_tokenizer import gguf_tokenizer

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")


@pytest.fixture
def written(tiny_llama, tmp_path):
    """Writes a file with the tiny tokenizer."""
    import json

    model = json.loads(tiny_llama.tokenizer().to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)

    def write(*, model_kind: str = "gpt2", split: str = "gpt-2", adds_first: bool = False):
        writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
        writer.add_tokenizer_model(model_kind)
        writer.add_tokenizer_pre(split)
        writer.add_token_list(tokens)
        writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
        writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(0)
        writer.add_add_bos_token(adds_first)
        writer.add_chat_template(tiny_llama.TEMPLATE)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return tmp_path / "model.gguf"

    return write


TEXTS = ["the model", "<|start|>user\n这是 🙂<|end|>", "a  1 23", "naïve  cafés"]


def encoded(files, text: str) -> list[int]:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(files.tokenizer).encode(text).ids


def test_ids_are_those_of_the_tokenizer_when_it_was_written(written, tiny_llama):
    files = gguf_tokenizer(written())
    for text in TEXTS:
        assert encoded(files, text) == tiny_llama.tokenizer().encode(text).ids
    assert files.chat_template == tiny_llama.TEMPLATE
    assert files.special_tokens == {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    assert files.end_tokens == (0,)


def test_first_token_is_added_when_the_file_says_so(written):
    assert encoded(gguf_tokenizer(written(adds_first=True)), "the")[0] == 1
    assert encoded(gguf_tokenizer(written()), "the")[0] != 1


def test_digits_are_single_tokens_when_texts_are_split_as_smollm(written):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(gguf_tokenizer(written(split="smollm")).tokenizer)
    pieces = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str("a  12")]
    assert pieces == ["a", "ĠĠ", "1", "2"]


@pytest.mark.parametrize("changes", [{"model_kind": "llama"}, {"split": "other"}], ids=str)
def test_file_is_refused_when_its_tokenizer_is_of_another_kind(written, changes):
    with pytest.raises(
        ConfigError, match=r"byte-level BPE \(gpt2\) is read, split as gpt-2 or smollm\. Name the folder"
    ):
        gguf_tokenizer(written(**changes))
