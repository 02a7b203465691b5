"""A GPT of maas becomes a bundle that generates as the net does."""

import numpy as np
import pytest
import torch

from maas.errors import ExportError
from maas.exporting.generation_bundling import build_generation_bundle
from maas.exporting.generation_proof import prove_generation
from maas.exporting.trained_decoder import TrainedDecoder, beginnings_of
from maas.models.gpt import GPT
from maas.records.manifest import ServingSettings
from maas.runtime.processors.generative_text import GenerativeTextProcessor

TEXTS = [
    "In the beginning was the word",
    "这是一个很棒的文本 🙂",
    "numbers 1 2 3 and naïve cafés",
    "the the the end",
] * 3


@pytest.fixture(params=["byte_pairs", "characters"])
def processor(request):
    return GenerativeTextProcessor(request.param, vocabulary_size=300, max_tokens=64).fit(TEXTS)


@pytest.fixture
def checkpoint(processor, save, tmp_path):
    def make(**arguments):
        torch.manual_seed(0)
        given = {
            "vocabulary_size": processor.tokens, "width": 64, "layers": 2, "heads": 4, "kv_heads": 2,
            "feed_forward": 48, "rotary_theta": 500.0, "norm_epsilon": 1e-4, **arguments,
        }  # fmt: skip
        net = GPT(**given).eval()
        for weight in net.parameters():
            torch.nn.init.normal_(weight, std=0.3)
        return save(
            tmp_path / "checkpoint", net, processor, "maas.models.gpt.GPT", (), task="generation", arguments=given
        )

    return make


def bundle_of(model, lineage, folder):
    folder.mkdir()
    return build_generation_bundle(
        folder, model=model, name="tiny", serving=ServingSettings(), lineage=lineage, golden_prompts=TEXTS, opset=20
    )


@pytest.mark.parametrize("arguments", [{}, {"is_tied": False, "kv_heads": None}], ids=str)
def test_texts_equal_those_of_the_net_when_a_checkpoint_is_exported(checkpoint, lineage, tmp_path, arguments):
    model = TrainedDecoder(checkpoint(**arguments))
    bundle = bundle_of(model, lineage, tmp_path / "bundle")
    (parity,) = prove_generation(bundle, model, beginnings_of(TEXTS)).parity
    assert (parity.rows, parity.agreement.value) == (len(TEXTS), 1.0)
    assert bundle.manifest.generation.context_length == 64


def test_prompt_has_the_tokens_of_training_when_it_is_read(checkpoint, processor, lineage, tmp_path):
    bundle = bundle_of(TrainedDecoder(checkpoint()), lineage, tmp_path / "bundle")
    for text, expected in zip(TEXTS, processor.documents(TEXTS), strict=True):
        assert bundle.generator.encode(text).tolist() == expected.tolist()
        assert bundle.generator.tokenizer.decode(expected.tolist()) == text
    assert bundle.generator.encode("").tolist() == [processor.end], "a text from its beginning"
    assert bundle.manifest.generation.end_tokens == (processor.end,)


def test_logits_are_those_of_the_net_when_tokens_are_read(checkpoint):
    made = checkpoint()
    tokens = np.arange(3, 20)
    with torch.inference_mode():
        expected = made.model()(torch.from_numpy(tokens)[None])[0].numpy()
    np.testing.assert_array_equal(TrainedDecoder(made).logits(tokens), expected)


def test_net_is_refused_when_it_is_no_gpt(nets, save, text_processor, tmp_path):
    arguments = {"vocabulary_size": text_processor.net_arguments["vocabulary_size"], "outputs": 2, "width": 8}
    made = save(
        tmp_path / "checkpoint", nets.Convolution(**arguments), text_processor, nets.__name__ + ".Convolution",
        ("a", "b"), arguments=arguments,
    )  # fmt: skip
    with pytest.raises(
        ExportError, match=r"with a text processor cannot be exported to generate texts; maas\.models\.g"
    ):
        TrainedDecoder(made)


def test_prompts_are_beginnings_of_several_lengths_when_texts_are_cut():
    texts = ["x" * 200] * 50
    lengths = [len(one) for one in beginnings_of(texts)]
    assert min(lengths) == 1
    assert max(lengths) <= 96
    assert len(set(lengths)) == 50
