"""Learning rates against their formulas."""

import math

import pytest
import torch

from maas.training.schedules import constant, cosine, one_cycle, plateau


def rates(make, total: int, lr: float = 0.2, **settings: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = make(optimizer, total, **settings)
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("final", [0.0, 0.1])
@pytest.mark.parametrize(("total", "warmup"), [(100, 0.1), (100, 0.0), (7, 0.3), (1, 0.0)])
def test_cosine_is_the_formula_at_every_step_when_it_runs_to_its_end(total, warmup, final):
    found = rates(cosine, total, warmup_fraction=warmup, final_fraction=final)
    rising = round(total * warmup)
    for step in range(rising):
        assert found[step] == pytest.approx(0.2 * (step + 1) / rising)
    for step in range(rising, total + 1):
        share = (step - rising) / max(1, total - rising)
        assert found[step] == pytest.approx(0.2 * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))))


def test_cosine_stays_at_its_end_when_it_is_stepped_too_often():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = cosine(optimizer, 4, warmup_fraction=0.0, final_fraction=0.25)
    for _ in range(9):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25)


def test_first_step_moves_the_weights_when_there_is_a_warm_up():
    assert rates(cosine, 10, warmup_fraction=0.5)[0] > 0


def test_constant_is_the_optimizers_own_rate_when_it_is_asked_for():
    assert rates(constant, 5) == [0.2] * 6


@pytest.mark.parametrize("total", [4, 100])
def test_one_cycle_is_the_formula_at_every_step_when_it_runs_to_its_end(total):
    first, last, rising = 0.2 / 25, 0.2 / 25 / 1e4, 0.3 * (total + 1) - 1

    def half_cosine(start, end, share):
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    for step, rate in enumerate(rates(one_cycle, total)):
        falls = (step - rising) / (total - rising)
        expected = half_cosine(first, 0.2, step / rising) if step <= rising else half_cosine(0.2, last, falls)
        assert rate == pytest.approx(expected)


def test_momentum_stays_when_the_rate_goes_through_one_cycle():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.8)
    one_cycle(optimizer, 10)
    assert optimizer.param_groups[0]["momentum"] == 0.8


def test_rate_falls_when_the_loss_has_not_fallen_for_longer_than_patience():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = plateau(optimizer, 100, factor=0.5, patience=2, lowest=0.3)
    found = []
    for loss in [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]:
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
