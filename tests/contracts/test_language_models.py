"""What every language model in models/ keeps: logits (N, T, V), no look ahead, documents and rows that do not mix."""

import inspect

import pytest
import torch

from maas.config.schema import FILLED
from tests.contracts.test_models import FILES, TOLERANCE, token_nets_of

NETS = [net for name in FILES for net in token_nets_of(name)]
V = 40


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    made = request.param(V).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.add_(0.05 * torch.randn_like(one))
    return made


def tokens_of(rows, tokens):
    return torch.randint(0, V, (rows, tokens), generator=torch.Generator().manual_seed(rows * 1000 + tokens))


def test_language_models_are_found_when_files_are_listed():
    assert NETS


@pytest.mark.parametrize("kind", NETS)
def test_arguments_have_defaults_when_the_processor_does_not_tell_them(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert {one.name for one in parameters if one.default is one.empty} == {"vocabulary_size"} <= FILLED


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("tokens", [1, 9])
def test_logits_are_of_each_token_when_rows_are_given(net, rows, tokens):
    logits = net(tokens_of(rows, tokens))
    assert logits.shape == (rows, tokens, V)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@torch.no_grad()
def test_logits_are_the_same_when_later_tokens_and_other_rows_are_left_out(net):
    tokens = tokens_of(4, 12)
    together = net(tokens)
    torch.testing.assert_close(net(tokens[2:3, :5]), together[2:3, :5], **TOLERANCE)


@torch.no_grad()
def test_logits_are_the_same_when_documents_share_a_row(net):
    tokens = tokens_of(2, 12)
    together = net(tokens, (torch.arange(12) >= 5).long().expand(2, 12))
    torch.testing.assert_close(together, torch.cat([net(tokens[:, :5]), net(tokens[:, 5:])], dim=1), **TOLERANCE)


def test_net_learns_when_a_gradient_step_is_taken(net):
    tokens = tokens_of(2, 9)
    logits = net.train()(tokens[:, :-1])
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in net.parameters())
