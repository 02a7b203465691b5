"""The two towers: what a row's vector depends on, what is left out, and what sampling estimates."""

import numpy as np
import pytest
import torch

from maas.data.packing import NO_TARGET
from maas.models.two_tower import TwoTower
from maas.training.heads import task_head_of
from maas.training.losses import ItemSoftmax

COUNT = 50


@pytest.fixture
def net() -> TwoTower:
    torch.manual_seed(0)
    net = TwoTower(COUNT, width=8, dropout=0.0)
    with torch.no_grad():
        net.weights.normal_()
        net.ages.normal_()
        net.popularity.normal_(std=0.1)
    return net.eval()


def rows(*lists: list[int], length: int = 6) -> torch.Tensor:
    return torch.tensor([[*one, *[COUNT] * (length - len(one))] for one in lists])


def test_logits_are_the_formula_when_it_is_written_out(net):
    items = [7, 3, 11]
    logits = net(rows(items), torch.tensor([False]))[0]
    strengths = torch.exp(net.weights[items] + net.ages[:3])
    user = (strengths / strengths.sum()) @ net.items.weight[items]
    torch.testing.assert_close(logits, net.ranked.weight @ user + 10 * net.popularity)


def test_row_is_the_same_when_it_is_padded_further(net):
    exclude = torch.tensor([True, True])
    torch.testing.assert_close(net(rows([4, 2], [9]), exclude), net(rows([4, 2], [9], length=16), exclude))


def test_popularity_ranks_when_a_row_has_no_items(net):
    torch.testing.assert_close(net(rows([]), torch.tensor([False]))[0], 10 * net.popularity)


def test_own_items_are_left_out_when_that_is_wanted(net):
    logits = net(rows([4, 2], [4, 2]), torch.tensor([True, False]))
    assert torch.isneginf(logits[0]).nonzero().flatten().tolist() == [2, 4]
    assert logits[1].isfinite().all()
    torch.testing.assert_close(logits[0][5:], logits[1][5:])


def test_tower_keeps_zero_when_it_has_hidden_layers():
    net = TwoTower(COUNT, width=8, hidden=(16, 4)).eval()
    assert not net.users(rows([])).any()
    assert net(rows([1], [2]), torch.tensor([True, True])).shape == (2, COUNT)


def test_sampled_loss_estimates_the_loss_over_all_items_when_few_are_drawn(net):
    head, loss = task_head_of("recommendation", tuple(map(str, range(COUNT)))), ItemSoftmax()
    items, targets = rows([4, 2], [9, 8, 7]), torch.tensor([[1, 30], [12, NO_TARGET]])
    wanted = targets.masked_fill(targets == NO_TARGET, COUNT)
    exclude = torch.tensor([True, True])
    exact = net(items, exclude).logsumexp(1).detach()
    sampled = TwoTower(COUNT, width=8, dropout=0.0, negatives=20)
    sampled.load_state_dict(net.state_dict())
    torch.manual_seed(0)
    with torch.no_grad():
        draws = torch.stack([sampled.train()(items, exclude, wanted=wanted).exp().sum(1) for _ in range(4000)])
    # own targets are in the sum for certain, and others in proportion to how often they are drawn
    np.testing.assert_allclose(draws.mean(0).log(), exact, atol=0.02)
    logits, columns = head.prepared(sampled(items, exclude, wanted=wanted), targets)
    assert logits.shape == (2, 2 + 20)
    assert columns.tolist() == [[0, 1], [0, NO_TARGET]]
    assert loss(logits, columns).isfinite()


def test_all_logits_are_computed_when_a_net_that_samples_is_evaluated(net):
    sampled = TwoTower(COUNT, width=8, negatives=20)
    sampled.load_state_dict(net.state_dict())
    items, exclude = rows([4, 2]), torch.tensor([True])
    torch.testing.assert_close(sampled.eval()(items, exclude, wanted=rows([1])), net(items, exclude))
