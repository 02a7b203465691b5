"""The graph of a decoder against transformers' own models: logits, positions, refusals, bytes."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig, Qwen2Config

from maas.errors import ExportError
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.onnx_graphs.decoder import DecoderConfig, decoder_graph, state_of
from maas.onnx_graphs.files import write_graph
from maas.runtime.generation.decoder import Decoder

SIZES = {
    "vocab_size": 90, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
ROWS = [np.arange(3, 20), np.arange(40, 45), np.array([7])]


def opened(model, tmp_path) -> Decoder:
    decoder = PretrainedDecoder(model.eval(), None, "test")
    write_graph(decoder_graph(decoder.config, decoder.weights, opset=20), tmp_path / "model.onnx")
    return Decoder(tmp_path / "model.onnx", state_of(decoder.config))


def torch_logits(model, row) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(row)[None]).logits[0].numpy()


def variants() -> dict[str, object]:
    qwen = Qwen2Config(**SIZES, tie_word_embeddings=True)
    mistral = MistralConfig(**SIZES, sliding_window=None, tie_word_embeddings=False)
    return {"qwen2": qwen, "mistral": mistral}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"attention_bias": True, "mlp_bias": True},
        {"rope_scaling": LLAMA3},
        {"rope_theta": 500.0, "num_hidden_layers": 1, "num_key_value_heads": 4},
        {"head_dim": 8, "attention_bias": True},
        {"head_dim": 22, "rope_scaling": LLAMA3},
    ],
    ids=["tied", "own_head", "biases", "llama3_rotation", "one_layer", "small_heads", "odd_halves"],
)
def test_logits_equal_transformers_when_prompts_of_unequal_length_share_a_run(tiny_llama, tmp_path, changes):
    model = tiny_llama.llama(**changes)
    for parameter in model.parameters():  # biases begin at 0, norms at 1
        torch.nn.init.normal_(parameter, std=0.3)
    decoder = opened(model, tmp_path)
    found = decoder.prefill(decoder.new_cache(3, 32), 0, ROWS)
    for row, logits in zip(ROWS, found, strict=True):
        np.testing.assert_allclose(logits, torch_logits(model, row)[-1], atol=1e-4)


@pytest.mark.parametrize("name", ["qwen2", "mistral"])
def test_logits_equal_transformers_when_the_architecture_is_computed_as_llama(tmp_path, name):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(variants()[name])
    decoder = opened(model, tmp_path)
    found = decoder.prefill(decoder.new_cache(3, 32), 0, ROWS)
    for row, logits in zip(ROWS, found, strict=True):
        np.testing.assert_allclose(logits, torch_logits(model, row)[-1], atol=1e-4)


def test_every_position_equals_transformers_when_tokens_come_in_steps_and_chunks(tiny_llama, tmp_path):
    model = tiny_llama.llama()
    decoder, row = opened(model, tmp_path), np.random.default_rng(0).integers(2, 300, 40)
    cache, expected = decoder.new_cache(2, 40), torch_logits(model, row)
    for start, end in ((0, 9), (9, 10), (10, 31), (31, 32), (32, 40)):
        found = decoder.extend(cache, 1, [row[start:end]])
        np.testing.assert_allclose(found[0], expected[end - 1], atol=1e-4)
    assert cache.lengths.tolist() == [0, 40]


def test_bytes_are_the_same_when_the_graph_is_built_again(llama):
    first, again = (decoder_graph(llama.config, llama.weights, opset=20) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    onnx.checker.check_model(first)


def test_embedding_is_held_once_when_the_head_is_tied(llama):
    graph = decoder_graph(llama.config, llama.weights, opset=20).graph
    size = llama.config.vocabulary_size
    assert [one.name for one in graph.initializer if size in one.dims] == ["model.embed_tokens.weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_size": 15}, "heads of size 15; halves of a head are turned together"),
        ({"layers": 3}, "has no weight model.layers.2.input_layernorm.weight"),
        ({"layers": 1}, "has the weight model.layers.1.input_layernorm.weight"),
        ({"kv_heads": 4}, r"k_proj.weight is of shape \(32, 48\); by its configuration it is \(64, 48\)"),
        ({"is_tied": False, "vocabulary_size": 7}, "embed_tokens.weight is of shape"),
    ],
)
def test_decoder_is_refused_when_weights_and_configuration_do_not_fit(llama, change, message):
    config: DecoderConfig = replace(llama.config, **change)
    with pytest.raises(ExportError, match=message):
        decoder_graph(config, llama.weights, opset=20)
