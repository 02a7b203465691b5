"""Optimizers step by step against their formulas, and which parameters they decay."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from maas.config import compose
from maas.training.losses import CrossEntropy
from maas.training.objectives import Objective
from maas.training.optimizers import optimizer_of

STEPS, EXACT = 60, 1e-12
LR = 0.03


def gradient(theta: Tensor) -> Tensor:
    """∇ of a function that is curved differently along each axis, and not convex: Σ a θ² + Σ cos θ."""
    scales = torch.linspace(0.2, 3.0, theta.numel(), dtype=torch.float64).reshape(theta.shape)
    return 2 * scales * theta - torch.sin(theta)


def start() -> Tensor:
    return torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def descent(decay: float = 0.0) -> Iterator[Tensor]:
    """θ ← θ − η(g + λθ)."""
    theta = start()
    while True:
        theta = theta - LR * (gradient(theta) + decay * theta)
        yield theta


def with_momentum(momentum: float, decay: float = 0.0, *, nesterov: bool = False) -> Iterator[Tensor]:
    """v ← μv + g; θ ← θ − η v, or Nesterov's θ ← θ − η(g + μv). Sutskever et al. (2013), as torch scales it."""
    theta, velocity = start(), torch.zeros(3, 2, dtype=torch.float64)
    while True:
        slope = gradient(theta) + decay * theta
        velocity = momentum * velocity + slope
        theta = theta - LR * (slope + momentum * velocity if nesterov else velocity)
        yield theta


def adaptive(decay: float, *, decoupled: bool, betas: tuple[float, float] = (0.9, 0.999)) -> Iterator[Tensor]:
    """Adam, arXiv:1412.6980, algorithm 1; with decay outside the moments, AdamW, arXiv:1711.05101, algorithm 2."""
    theta = start()
    first, second, step = torch.zeros_like(theta), torch.zeros_like(theta), 0
    while True:
        step += 1
        slope = gradient(theta) + (0.0 if decoupled else decay * theta)
        theta = theta - LR * decay * theta if decoupled else theta
        first = betas[0] * first + (1 - betas[0]) * slope
        second = betas[1] * second + (1 - betas[1]) * slope**2
        unbiased = first / (1 - betas[0] ** step), second / (1 - betas[1] ** step)
        theta = theta - LR * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
        yield theta


@pytest.mark.parametrize(
    ("overrides", "reference"),
    [
        (["optimizer=gd"], descent),
        (["optimizer=gd", "optimizer.weight_decay=0.1"], lambda: descent(0.1)),
        (["optimizer=sgd", "optimizer.momentum=0"], descent),
        (["optimizer=sgd"], lambda: with_momentum(0.9)),
        (["optimizer=sgd", "+optimizer.weight_decay=0.1"], lambda: with_momentum(0.9, 0.1)),
        (["optimizer=sgd", "optimizer.nesterov=true"], lambda: with_momentum(0.9, nesterov=True)),
        (["optimizer=adam"], lambda: adaptive(0.0, decoupled=False)),
        (["optimizer=adam", "+optimizer.weight_decay=0.1"], lambda: adaptive(0.1, decoupled=False)),
        (["optimizer=adamw", "optimizer.weight_decay=0.1"], lambda: adaptive(0.1, decoupled=True)),
        (["optimizer=adamw", "optimizer.weight_decay=0"], lambda: adaptive(0.0, decoupled=False)),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_each_step_is_the_formula_when_a_recipe_names_an_optimizer(overrides, reference):
    config = compose("digits_mlp", *overrides, f"optimizer.lr={LR}")
    theta = nn.Parameter(start())
    optimizer = config.optimizer.build()([theta])
    for _, expected in zip(range(STEPS), reference(), strict=False):
        theta.grad = gradient(theta.detach())
        optimizer.step()
        assert (theta.detach() - expected).abs().max() <= EXACT


def trained(make: Callable[..., torch.optim.Optimizer], **penalties: float) -> list[Tensor]:
    """Returns a small net's weights after 20 steps."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).double()
    objective = Objective(CrossEntropy(), **penalties)
    optimizer = optimizer_of(net, make, objective.covered(net))
    inputs = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for _ in range(20):
        optimizer.zero_grad()
        objective(net(inputs), torch.arange(8) % 2, net).backward()
        optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max((left - right).abs().max().item() for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_written_l2_equals_weight_decay_when_the_decay_goes_through_the_gradient(make):
    written = trained(lambda groups: make(groups, lr=0.05), l2=0.1)
    built_in = trained(lambda groups: make(groups, lr=0.05, weight_decay=0.1))
    assert largest_difference(written, built_in) <= EXACT


def test_written_l2_differs_from_weight_decay_when_the_decay_is_decoupled():
    written = trained(lambda groups: torch.optim.Adam(groups, lr=0.05), l2=0.1)
    decoupled = trained(lambda groups: torch.optim.AdamW(groups, lr=0.05, weight_decay=0.1))
    assert largest_difference(written, decoupled) > 1e-3


@pytest.mark.parametrize(
    ("covers", "expected"),
    [
        ("weights", {"0.weight", "3.weight"}),
        ("all", {"0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias"}),
        (["3.*", "0.weight"], {"0.weight", "3.weight", "3.bias"}),
    ],
)
def test_decay_leaves_alone_what_the_objective_does_not_cover(covers, expected):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2))
    net[0].weight.requires_grad_(True)
    covered = Objective(nn.CrossEntropyLoss(), covers=covers).covered(net)
    assert set(covered) == expected
    optimizer = optimizer_of(net, lambda groups: torch.optim.AdamW(groups, weight_decay=0.1), covered)
    decays = {id(one): group["weight_decay"] for group in optimizer.param_groups for one in group["params"]}
    assert {name: decays[id(one)] for name, one in net.named_parameters()} == {
        name: 0.1 if name in expected else 0.0 for name, _ in net.named_parameters()
    }


def test_frozen_parameters_are_left_out_when_an_optimizer_is_made():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    optimizer = optimizer_of(net, torch.optim.AdamW, Objective(nn.CrossEntropyLoss()).covered(net))
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(one) for one in held} == {id(one) for one in net[1].parameters()}


def test_one_group_holds_all_when_an_optimizer_has_no_decay():
    net = nn.Linear(3, 4)
    assert len(optimizer_of(net, torch.optim.LBFGS, {"weight"}).param_groups) == 1


@pytest.mark.parametrize("choice", [{}, {"fused": False}, {"foreach": True}])
def test_fused_kernel_is_taken_when_a_recipe_leaves_it_open(choice):
    optimizer = optimizer_of(nn.Linear(3, 4), lambda groups: torch.optim.Adam(groups, **choice), {"weight"})
    assert optimizer.param_groups[0]["fused"] == (choice.get("fused") if choice else True)
