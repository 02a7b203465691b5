"""The GPT beside transformers' Llama, packed documents beside each alone, and no look ahead."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from maas.models.gpt import GPT, positions_within

V = 50
SHAPE = {"width": 48, "layers": 3, "heads": 6, "feed_forward": 80}
WEIGHTS = {
    "queries": "self_attn.q_proj",
    "keys": "self_attn.k_proj",
    "values": "self_attn.v_proj",
    "output": "self_attn.o_proj",
}
"""What transformers calls the layers of attention."""


def net_of(**arguments):
    torch.manual_seed(0)
    net = GPT(V, **{**SHAPE, **arguments}).eval()
    with torch.no_grad():
        for one in net.parameters():
            one.add_(0.1 * torch.randn_like(one))
    return net


def tokens_of(*shape):
    return torch.randint(0, V, shape, generator=torch.Generator().manual_seed(1))


def as_llama(net, rotary_theta, norm_epsilon):
    """Returns transformers' Llama with the weights of a GPT."""
    attention, is_tied = net.blocks[0].attention, net.unembedding is None
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=SHAPE["width"],
        intermediate_size=SHAPE["feed_forward"],
        num_hidden_layers=SHAPE["layers"],
        num_attention_heads=attention.heads,
        num_key_value_heads=attention.kv_heads,
        rms_norm_eps=norm_epsilon,
        rope_theta=rotary_theta,
        tie_word_embeddings=is_tied,
        attn_implementation="eager",
    )
    named = {"model.embed_tokens.weight": net.embedding.weight, "model.norm.weight": net.norm.weight}
    named["lm_head.weight"] = net.embedding.weight if is_tied else net.unembedding.weight
    for index, block in enumerate(net.blocks):
        place = f"model.layers.{index}"
        named |= {f"{place}.{theirs}.weight": getattr(block.attention, ours).weight for ours, theirs in WEIGHTS.items()}
        named |= {
            f"{place}.mlp.{name}_proj.weight": getattr(block.feed_forward, name).weight
            for name in ("gate", "up", "down")
        }
        named[f"{place}.input_layernorm.weight"] = block.attention_norm.weight
        named[f"{place}.post_attention_layernorm.weight"] = block.feed_forward_norm.weight
    llama = LlamaForCausalLM(config).eval()
    llama.load_state_dict(named)
    return llama


@torch.no_grad()
@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize(
    ("kv_heads", "rotary_theta", "norm_epsilon"), [(None, 10000.0, 1e-5), (2, 500.0, 1e-3), (1, 1e6, 1e-6)]
)
def test_logits_are_those_of_transformers_llama_when_weights_are_the_same(
    is_tied, kv_heads, rotary_theta, norm_epsilon
):
    settings = {"rotary_theta": rotary_theta, "norm_epsilon": norm_epsilon}
    net = net_of(kv_heads=kv_heads, is_tied=is_tied, **settings)
    tokens = tokens_of(3, 40)
    expected = as_llama(net, **settings)(input_ids=tokens).logits
    torch.testing.assert_close(net(tokens), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
def test_logits_of_packed_documents_are_those_of_each_alone_when_they_share_a_row():
    net, tokens, lengths = net_of(kv_heads=3), tokens_of(2, 24), (5, 1, 11, 7)
    documents = torch.cat([torch.full((2, length), 9 + number) for number, length in enumerate(lengths)], dim=1)
    together = net(tokens, documents)
    alone = torch.cat([net(document) for document in tokens.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_logits_are_the_same_when_a_row_is_one_document():
    net, tokens = net_of(), tokens_of(2, 16)
    torch.testing.assert_close(net(tokens, torch.full_like(tokens, 3)), net(tokens), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_logits_stay_when_later_tokens_change():
    net, tokens = net_of(), tokens_of(2, 16)
    changed = tokens.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % V
    before, after = net(tokens), net(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9], rtol=1e-5, atol=1e-5)
    assert (before[:, 9:] - after[:, 9:]).abs().amax(dim=(0, 2)).min() > 1e-3


@torch.no_grad()
def test_logits_stay_when_another_row_changes():
    net, tokens = net_of(), tokens_of(3, 16)
    torch.testing.assert_close(net(tokens)[1:2], net(tokens[1:2]), rtol=1e-5, atol=1e-5)


def test_positions_restart_when_a_document_begins():
    documents = torch.tensor([[0, 0, 0, 1, 1, 2], [7, 7, 7, 7, 7, 7], [4, 5, 6, 6, 7, 7]])
    expected = [[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 0, 1]]
    assert positions_within(documents).tolist() == expected


def test_every_weight_has_a_gradient_when_documents_are_packed():
    net, tokens = net_of(dropout=0.1).train(), tokens_of(2, 12)
    net(tokens, torch.arange(12).expand(2, 12) // 5).square().mean().backward()
    assert all(one.grad is not None and one.grad.abs().max() > 0 for one in net.parameters())


def test_weights_that_are_added_up_begin_narrower_when_there_are_many_layers():
    torch.manual_seed(0)
    block = GPT(V, width=256, layers=8, heads=4, feed_forward=512).blocks[0]
    assert block.attention.queries.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.attention.output.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert block.feed_forward.down.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 50}, "width is 50 and heads is 6; .* Set e.g. width=384"),
        ({"width": 54}, "width is 54 and heads is 6; width / heads must be an even whole number"),
        ({"kv_heads": 4}, "heads is 6; it must be a multiple of kv_heads, 4"),
    ],
)
def test_shape_is_refused_when_it_does_not_divide(arguments, message):
    with pytest.raises(ValueError, match=message):
        GPT(V, **{**SHAPE, **arguments})
