"""Bundles of tiny decoders of several shapes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from maas.exporting.generation_bundling import build_generation_bundle
from maas.handover.decoder import HandedDecoder
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.records.manifest import ServingSettings

SHAPES = {
    "grouped": {},
    "untied": {"tie_word_embeddings": False, "num_key_value_heads": 4, "rope_theta": 500_000.0},
    "padded": {"head_dim": 12, "hidden_size": 64, "intermediate_size": 96},
    "stretched": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "biased": {"hidden_size": 64},
}
MESSAGES = [{"role": "user", "content": "write"}]


def biased(decoder: PretrainedDecoder, folder: Path) -> PretrainedDecoder:
    """Returns a decoder with biases where Qwen2 has them."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(2)
    given = decoder.model.config.to_dict()
    kept = {name: value for name, value in given.items() if name not in ("model_type", "architectures")}
    model = Qwen2ForCausalLM(Qwen2Config(**kept, use_sliding_window=False))
    for name, weight in model.named_parameters():
        torch.nn.init.ones_(weight) if "norm" in name else torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return PretrainedDecoder.open(str(folder))


@pytest.fixture(scope="session", params=list(SHAPES))
def decoder(request, tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    made = PretrainedDecoder.open(str(tiny_llama.save(folder, **SHAPES[request.param])))
    return biased(made, folder) if request.param == "biased" else made


@pytest.fixture(scope="session")
def bundle_of(lineage, tmp_path_factory):
    """Builds a bundle of a decoder."""

    def build(decoder):
        return build_generation_bundle(
            tmp_path_factory.mktemp("bundle"),
            model=decoder,
            name="tiny",
            serving=ServingSettings(),
            lineage=lineage,
            golden_prompts=["the"],
            opset=20,
        )

    return build


@pytest.fixture(scope="session")
def bundle(decoder, bundle_of):
    return bundle_of(decoder)


@pytest.fixture(scope="session")
def handed(bundle):
    return HandedDecoder.of(bundle)


@pytest.fixture
def plain(llama, bundle_of):
    """The tiny Llama, handed over."""
    return HandedDecoder.of(bundle_of(llama))


@pytest.fixture
def same_tokens():
    """Requires that transformers continues prompts as a bundle does, token for token."""

    def require(bundle, model, tokens_of, prompts) -> None:
        for prompt in [*prompts, MESSAGES]:
            ids = tokens_of(prompt)
            assert ids == bundle.generator.encode(prompt).tolist()
            given = torch.tensor([ids])
            with torch.inference_mode():
                found = model.generate(
                    given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=24, pad_token_id=0
                )
            expected = bundle.generate(prompt, max_tokens=24)
            assert found[0, len(ids) :].tolist() == expected.tokens

    return require


def changed(tokenizer_json: str, **parts: object) -> str:
    """Returns a tokenizer with other parts."""
    return json.dumps({**json.loads(tokenizer_json), **parts})


@pytest.fixture
def with_tokenizer():
    """Returns a decoder with another tokenizer."""
    from dataclasses import replace

    return lambda handed, **parts: replace(handed, tokenizer_json=changed(handed.tokenizer_json, **parts))


@pytest.fixture
def heavy(plain):
    """A decoder with a weight that float16 does not hold."""
    from dataclasses import replace

    name = "model.layers.0.mlp.up_proj.weight"
    return replace(plain, weights={**plain.weights, name: plain.weights[name] + np.float32(1e5)})
