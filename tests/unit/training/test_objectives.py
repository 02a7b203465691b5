"""Penalties against finite differences and against what the optimizer does by itself."""

import pytest
import torch
from torch import nn

from maas.errors import ConfigError
from maas.training.objectives import Objective, group_lasso_penalty, l1_penalty, l2_penalty, objective_of

PENALTIES = {"l2": l2_penalty, "l1": l1_penalty, "group_lasso": group_lasso_penalty}


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).double()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_gradient_equals_finite_differences_when_weights_are_of_any_shape(penalty):
    tensors = [some(3, 2, seed=1).requires_grad_(), some(4, seed=2).requires_grad_()]
    function, weight, step = PENALTIES[penalty], 0.37, 1e-6
    gradients = torch.autograd.grad(function(tensors, weight), tensors)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        for index in range(tensor.numel()):
            shifted = torch.zeros(tensor.numel(), dtype=torch.float64)
            shifted[index] = step
            ends = [
                function(
                    [other + sign * shifted.reshape(tensor.shape) if other is tensor else other for other in tensors],
                    weight,
                )
                for sign in (1, -1)
            ]
            assert gradient.flatten()[index].item() == pytest.approx(
                ((ends[0] - ends[1]) / (2 * step)).item(), abs=1e-8
            )


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (l2_penalty, 0.1 / 2 * (9 + 16 + 1 + 1)),
        (l1_penalty, 0.1 * (3 + 4 + 1 + 1)),
        (group_lasso_penalty, 0.1 * (3 + 4 + 2**0.5 * 2**0.5)),
    ],
)
def test_penalty_is_the_formula_when_written_out(penalty, expected):
    assert penalty([torch.tensor([3.0, -4.0]), torch.tensor([[1.0, -1.0]])], 0.1).item() == pytest.approx(expected)


def test_gradient_is_finite_when_a_group_has_vanished():
    theta = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    group_lasso_penalty([theta], 1.0).backward()
    torch.testing.assert_close(theta.grad, torch.tensor([[0.0, 0.0], [0.6, 0.8]]) * 2**0.5)


def test_pattern_is_named_when_no_parameter_matches_it():
    with pytest.raises(
        ConfigError, match=r"pattern 'head\.\*', which no parameter matches; there are 0\.weight, 0\.bias"
    ):
        Objective(nn.CrossEntropyLoss(), covers=["head.*"]).covered(small_net())


@pytest.mark.parametrize("weight", [0.0, 1e-3, 10.0])
def test_gradient_is_weight_times_theta_when_the_penalty_is_l2(weight):
    theta = some(5, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(l2_penalty([theta], weight), theta)
    torch.testing.assert_close(gradient, weight * theta.detach())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_equal_weight_decay_when_l2_covers_all_and_sgd_steps(momentum):
    inputs, targets, decay = some(6, 3), torch.tensor([0, 1, 1, 0, 1, 0]), 0.05
    written, built_in = small_net(), small_net()
    objective = Objective(nn.CrossEntropyLoss(), l2=decay, covers="all")
    own = torch.optim.SGD(written.parameters(), lr=0.1, momentum=momentum)
    torchs = torch.optim.SGD(built_in.parameters(), lr=0.1, momentum=momentum, weight_decay=decay)
    for _ in range(10):
        own.zero_grad()
        objective(written(inputs), targets, written).backward()
        own.step()
        torchs.zero_grad()
        nn.functional.cross_entropy(built_in(inputs), targets).backward()
        torchs.step()
    for one, other in zip(written.parameters(), built_in.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_biases_and_norms_are_spared_when_weights_are_covered():
    net = small_net()
    objective = Objective(nn.CrossEntropyLoss(), l2=0.5, l1=0.25)
    logits, targets = some(2, 2), torch.tensor([0, 1])
    (objective(logits, targets, net) - objective.loss(logits, targets)).backward()
    for name, parameter in net.named_parameters():
        if parameter.ndim > 1:
            torch.testing.assert_close(parameter.grad, 0.5 * parameter.detach() + 0.25 * parameter.detach().sign())
        else:
            assert parameter.grad is None, name


def test_value_is_the_loss_alone_when_there_is_no_penalty():
    logits, targets = some(3, 2), torch.tensor([0, 1, 1])
    value = Objective(nn.CrossEntropyLoss(label_smoothing=0.1))(logits, targets, small_net())
    assert value.item() == nn.functional.cross_entropy(logits, targets, label_smoothing=0.1).item()


def test_frozen_parameters_are_spared_when_penalties_cover_all():
    net = small_net().requires_grad_(False)
    net[3].weight.requires_grad_(True)
    value = Objective(nn.CrossEntropyLoss(), l2=1.0, covers="all")(some(1, 2), torch.tensor([0]), net)
    loss = nn.functional.cross_entropy(some(1, 2), torch.tensor([0]))
    assert (value - loss).item() == pytest.approx(net[3].weight.square().sum().item() / 2)


def test_penalty_is_nothing_when_a_net_has_nothing_that_it_covers():
    net = nn.LayerNorm(2).double()
    logits, targets = some(1, 2), torch.tensor([0])
    objective = Objective(nn.CrossEntropyLoss(), l2=1.0, l1=1.0)
    assert objective(logits, targets, net).item() == objective.loss(logits, targets).item()


def test_loss_alone_is_an_objective_without_penalties_when_a_recipe_gives_one():
    own = Objective(nn.CrossEntropyLoss(), l2=0.1)
    assert objective_of(own) is own
    logits, targets = some(5, 3), torch.tensor([0, 1, 2, 1, 0])
    made = objective_of(nn.CrossEntropyLoss())
    assert made(logits, targets, small_net()) == nn.functional.cross_entropy(logits, targets)
    made.fit(targets.numpy())
    assert not made.is_penalised


def test_objective_is_refused_when_a_recipe_gives_no_module():
    with pytest.raises(ConfigError, match="^objective gives a function; it must give a loss, an nn.Module that takes"):
        objective_of(nn.functional.cross_entropy)
