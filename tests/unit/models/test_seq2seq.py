"""The encoder and decoder beside attention written out, padding that does not count, and no look ahead."""

import math

import pytest
import torch
from torch.nn import functional

from maas.models.gpt import turned, turns_of
from maas.models.seq2seq import CrossAttention, Seq2Seq, is_token
from maas.training.losses import NextToken

V = 50
SHAPE = {"width": 48, "encoder_layers": 2, "decoder_layers": 2, "heads": 6, "feed_forward": 80}


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = Seq2Seq(V, **SHAPE).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.add_(0.1 * torch.randn_like(one))
    return made


def texts_of(rows, tokens, seed=0):
    """Returns rows that begin with token 0 and have it nowhere else."""
    drawn = torch.randint(1, V, (rows, tokens), generator=torch.Generator().manual_seed(seed))
    drawn[:, 0] = 0
    return drawn


def padded(rows, width):
    return functional.pad(rows, (0, width - rows.shape[1]))


def attention_by_hand(queries, keys, values, is_looked_at):
    """Returns what one head gives, row by row and query by query: (T, D), (S, D), (S, D) → (T, D)."""
    found = torch.zeros(len(queries), values.shape[1])
    for place, query in enumerate(queries):
        weights = [
            math.exp(float(query @ key) / math.sqrt(len(query))) if seen else 0.0
            for key, seen in zip(keys, is_looked_at(place), strict=True)
        ]
        found[place] = sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
    return found


@torch.no_grad()
def test_cross_attention_is_that_of_each_head_written_out_when_some_of_the_memory_is_padding():
    torch.manual_seed(0)
    layer, hidden, memory = CrossAttention(8, 2), torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    seen = torch.tensor([True, True, True, False, False])
    heads = [
        attention_by_hand(
            layer.queries(hidden)[0, :, part], layer.keys(memory)[0, :, part], layer.values(memory)[0, :, part],
            lambda _: seen.tolist(),
        )
        for part in (slice(0, 4), slice(4, 8))
    ]  # fmt: skip
    expected = layer.output(torch.cat(heads, dim=1))[None]
    torch.testing.assert_close(layer(hidden, memory, seen[None, None, None]), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_logits_are_those_of_the_layers_written_out_when_nothing_is_padded(net):
    source, tokens = texts_of(1, 6), texts_of(1, 4, seed=1)
    memory = net.embedding(source)
    for block in net.encoder:
        memory = memory + self_attended(block, memory, lambda _: [True] * 6)
        memory = memory + block.feed_forward(block.feed_forward_norm(memory))
    memory = net.encoder_norm(memory)
    hidden = net.embedding(tokens)
    for block in net.decoder:
        hidden = hidden + self_attended(block, hidden, lambda place: [other <= place for other in range(4)])
        hidden = hidden + block.cross(block.cross_norm(hidden), memory, torch.ones(1, 1, 1, 6, dtype=torch.bool))
        hidden = hidden + block.feed_forward(block.feed_forward_norm(hidden))
    expected = net.norm(hidden) @ net.embedding.weight.T
    torch.testing.assert_close(net(source, tokens), expected, rtol=1e-4, atol=1e-4)


def self_attended(block, hidden, is_looked_at):
    """Returns what a block's own attention adds, head by head."""
    layer, normed = block.attention, block.attention_norm(hidden)
    size = hidden.shape[2] // layer.heads
    turns = turns_of(torch.arange(hidden.shape[1])[None], size, 10000.0)
    queries, keys = (
        turned(one(normed).unflatten(2, (layer.heads, -1)).transpose(1, 2), turns)[0]
        for one in (layer.queries, layer.keys)
    )
    values = layer.values(normed).unflatten(2, (layer.heads, -1)).transpose(1, 2)[0]
    heads = [attention_by_hand(*one, is_looked_at) for one in zip(queries, keys, values, strict=True)]
    return layer.output(torch.cat(heads, dim=1))[None]


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_loss_is_the_same_when_a_pair_stands_beside_longer_ones(net, tokens):
    source, written = texts_of(1, tokens), texts_of(1, tokens + 1, seed=1)
    targets = functional.pad(written[:, 1:], (0, 1))
    alone = NextToken()(net(source, written).flatten(0, 1), targets.flatten())
    sources = torch.cat([padded(source, 12), texts_of(2, 12, seed=2)])
    together = torch.cat([padded(written, 9), texts_of(2, 9, seed=3)])
    wanted = functional.pad(targets, (0, 8 - tokens), value=-100)
    beside = NextToken()(net(sources, together)[:1].flatten(0, 1), wanted.flatten())
    assert beside.item() == pytest.approx(alone.item(), rel=1e-5)


def test_padding_changes_no_gradient_when_rows_are_padded_further(net):
    source, written = texts_of(2, 5), texts_of(2, 4, seed=1)

    def gradients(more):
        net.zero_grad()
        targets = functional.pad(written[:, 1:], (0, 1 + more), value=-100)
        logits = net(padded(source, 5 + more), padded(written, 4 + more))
        NextToken()(logits.flatten(0, 1), targets.flatten()).backward()
        return [one.grad.clone() for one in net.parameters()]

    for alone, beside in zip(gradients(0), gradients(7), strict=True):
        torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_logits_stay_when_later_tokens_and_other_rows_change(net):
    source, tokens = texts_of(3, 7), texts_of(3, 8, seed=1)
    together = net(source, tokens)
    assert together.shape == (3, 8, V)
    torch.testing.assert_close(net(source[1:2], tokens[1:2, :3]), together[1:2, :3], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_every_token_of_the_source_counts_when_one_changes(net):
    source, tokens = texts_of(1, 6), texts_of(1, 3, seed=1)
    before = net(source, tokens)
    for place in range(1, 6):
        changed = source.clone()
        changed[0, place] = changed[0, place] % (V - 1) + 1
        assert (net(changed, tokens) - before).abs().max() > 1e-3


@torch.no_grad()
def test_beginning_is_taken_when_nothing_is_written_yet(net):
    source = texts_of(2, 5)
    torch.testing.assert_close(net(source), net(source, torch.zeros(2, 1, dtype=torch.int64)))


def test_beginning_is_looked_at_and_padding_is_not_when_a_text_is_empty():
    assert is_token(torch.tensor([[0, 0, 0], [0, 4, 0]]))[:, 0, 0].tolist() == [
        [True, False, False],
        [True, True, False],
    ]


def test_every_weight_has_a_gradient_when_it_trains(net):
    net.train()(texts_of(2, 5), texts_of(2, 4, seed=1)).square().mean().backward()
    assert all(one.grad is not None and one.grad.abs().max() > 0 for one in net.parameters())


def test_weights_that_are_added_up_begin_narrower_when_there_are_many_layers():
    torch.manual_seed(0)
    net = Seq2Seq(V, width=256, encoder_layers=2, decoder_layers=4, heads=4, feed_forward=512)
    assert net.decoder[0].cross.queries.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for added in (net.decoder[0].cross.output, net.encoder[0].feed_forward.down):
        assert added.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_shape_is_refused_when_it_does_not_divide():
    with pytest.raises(ValueError, match=r"width is 50 and heads is 6; .* Set e\.g\. width=384"):
        Seq2Seq(V, **{**SHAPE, "width": 50})
