"""A pretrained decoder as a net: transformers' own logits, documents apart, adapted and merged again."""

import pytest
import torch

from maas.config import Part
from maas.errors import ConfigError
from maas.importing.decoders.base import PretrainedNet
from maas.importing.decoders.net import DecoderNet
from maas.training.lora import LoRA

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, 320, (2, 12), generator=torch.Generator().manual_seed(0))


def moved(net: DecoderNet) -> DecoderNet:
    """Changes whatever can be trained."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def test_logits_are_those_of_transformers_when_a_folder_is_opened(llama, llama_folder, tokens):
    net = DecoderNet(str(llama_folder))
    assert all(module.training for module in net.modules())
    with torch.no_grad():
        expected = llama.model(tokens).logits
        torch.testing.assert_close(net.eval()(tokens), expected, rtol=0, atol=0)


@torch.no_grad()
def test_logits_are_the_same_when_documents_share_a_row(llama_folder, tokens):
    net = DecoderNet(str(llama_folder)).eval()
    together = net(tokens, (torch.arange(12) >= 5).long().expand(2, 12))
    torch.testing.assert_close(together, torch.cat([net(tokens[:, :5]), net(tokens[:, 5:])], dim=1), rtol=0, atol=1e-4)


@torch.no_grad()
def test_logits_are_those_of_the_adapted_net_when_the_products_are_merged(llama_folder, tokens):
    net = moved(DecoderNet(str(llama_folder), adapter=LoRA(rank=4, targets=LAYERS))).eval()
    expected, plain = net(tokens), DecoderNet(str(llama_folder)).eval()(tokens)
    assert (expected - plain).abs().max() > 1
    torch.testing.assert_close(net.finished()(tokens), expected, rtol=0, atol=1e-4)
    assert not [name for name, _ in net.named_parameters() if "lora" in name]


def test_products_alone_are_trained_when_a_net_is_adapted(llama_folder):
    net = DecoderNet(str(llama_folder), adapter=LoRA(rank=4, targets=["q_proj"]))
    trained = [(name, one.numel()) for name, one in net.named_parameters() if one.requires_grad]
    assert sum(count for _, count in trained) == 2 * (4 * 48 + 64 * 4)
    assert all("lora_" in name for name, _ in trained)


@pytest.mark.parametrize("setting", ["targets", "whole"])
@pytest.mark.parametrize("layer", ["lm_head", "embed_tokens"])
def test_tied_layer_is_refused_when_an_adapter_names_it(llama_folder, setting, layer):
    with pytest.raises(ConfigError) as caught:
        DecoderNet(str(llama_folder), adapter=LoRA(**{"targets": ["q_proj"], setting: [layer]}))
    names = ["lm_head", "model.embed_tokens"]
    own = next(name for name in names if name.endswith(layer))
    assert str(caught.value) == (
        f"model.adapter names {own}, whose weights are those of {next(one for one in names if one != own)} as well "
        "(they are tied), so that merging would change both. Leave it out of model.adapter.targets and "
        "model.adapter.whole, or set model.adapter=null to train all weights."
    )


@pytest.mark.parametrize("whole", ["model", "head", "tokens"])
def test_tied_layer_is_refused_when_a_module_around_it_or_the_end_of_its_name_is_trained_whole(llama_folder, whole):
    with pytest.raises(ConfigError, match=r"^model\.adapter names .* \(they are tied\)"):
        DecoderNet(str(llama_folder), adapter=LoRA(targets=["q_proj"], whole=[whole]))


def test_module_is_trained_whole_when_no_layer_in_it_is_tied(llama_folder):
    net = DecoderNet(str(llama_folder), adapter=LoRA(targets=["q_proj"], whole=["mlp"]))
    trained = [name for name, one in net.named_parameters() if one.requires_grad and "lora_" not in name]
    assert len(trained) == 2 * 3  # three matrices in each of two layers
    assert all(".mlp." in name for name in trained)


@torch.no_grad()
def test_head_of_its_own_is_adapted_when_it_is_not_tied(tiny_llama, tokens, tmp_path):
    folder = tiny_llama.save(tmp_path, tie_word_embeddings=False)
    net = moved(DecoderNet(str(folder), adapter=LoRA(rank=4, targets=["lm_head"]))).eval()
    expected = net(tokens)
    torch.testing.assert_close(net.finished()(tokens), expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_net_is_built_again_without_its_folder_when_it_has_finished(llama_folder, tokens):
    net = moved(DecoderNet(str(llama_folder), context=64, adapter=LoRA(rank=4, targets=LAYERS))).eval()
    part = net.finished().rebuild()
    assert str(llama_folder) not in str(part)
    again = Part.of(part, "net").build()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again.eval()(tokens), net(tokens), rtol=0, atol=0)


def test_net_is_a_language_model_with_its_context_when_it_is_asked(llama, llama_folder):
    net = DecoderNet(str(llama_folder), context=64)
    assert isinstance(net, PretrainedNet)
    model = net.eval().language_model(llama.text_files, "tiny")
    assert (model.config.context_length, model.config.layers, model.origin) == (64, 2, "tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "model.pretrained is missing. Set it to a folder, a GGUF file, package:path, or a hub id."),
        ({"config": {"model_type": "gpt2"}}, "model.config has the architecture gpt2;"),
    ],
    ids=["nothing", "another architecture"],
)
def test_net_is_refused_when_there_is_no_decoder(arguments, message):
    with pytest.raises(ConfigError, match=message):
        DecoderNet(**arguments)
