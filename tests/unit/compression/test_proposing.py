"""Proposals lie in their space, are the same for the same results, and move to where small nets keep the budget."""

import pytest

from maas.compression.passes.finetune import Finetune
from maas.compression.passes.prune import Prune
from maas.compression.proposing import Proposals
from maas.errors import BudgetError

PASSES = {"prune": Prune(), "finetune": Finetune()}
SPACE = {
    "prune": {"ratio": {"low": 0.3, "high": 0.9, "step": 0.05}, "importance": ["magnitude", "taylor"]},
    "finetune": {"epochs": {"low": 2, "high": 6}, "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
}


def proposed(seed: int, count: int = 20) -> list:
    """Returns proposals where a net keeps the budget up to a ratio of 0.7."""
    proposals, found = Proposals(PASSES, SPACE, seed), []
    for _ in range(count):
        proposal = proposals.ask()
        ratio = proposal.passes["prune"].ratio
        proposals.tell(proposal, cost=(1 - ratio) ** 4, excess=max(0.0, 10 * (ratio - 0.7)))
        found.append(proposal)
    return found


def test_settings_lie_in_the_space_and_the_rest_stays_when_passes_are_proposed():
    for proposal in proposed(seed=1):
        prune, finetune = proposal.passes["prune"], proposal.passes["finetune"]
        assert 0.3 <= prune.ratio <= 0.9
        assert prune.importance in ("magnitude", "taylor")
        assert isinstance(finetune.epochs, int)
        assert 2 <= finetune.epochs <= 6
        assert 1e-4 <= finetune.lr <= 1e-1
        assert (prune.scope, prune.max_fraction) == (Prune.scope, Prune.max_fraction)


def test_proposals_are_equal_when_seed_and_results_are():
    assert [one.key for one in proposed(seed=3)] == [one.key for one in proposed(seed=3)]
    assert [one.key for one in proposed(seed=3)] != [one.key for one in proposed(seed=4)]


def test_later_proposals_are_better_when_results_were_reported():
    first, last = (
        [abs(one.passes["prune"].ratio - 0.7) for one in part] for part in halves(proposed(seed=0, count=40))
    )
    assert sum(last) < sum(first)


def halves(items: list) -> tuple[list, list]:
    return items[: len(items) // 2], items[len(items) // 2 :]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"distil": {"epochs": [1]}}, "names the pass distil; there are prune, finetune"),
        ({"prune": {"share": [1]}}, "names the setting share; there are ratio, importance"),
        ({"prune": {"ratio": 0.5}}, "compress.space.prune.ratio is 0.5; it must be a list of values, or"),
        ({"prune": {"ratio": {"low": 0.5}}}, "it must be a list of values"),
        ({"prune": {"ratio": []}}, "it must be a list of values"),
        ({"prune": {"ratio": {"low": 0.3, "high": 0.5, "steps": 0.1}}}, "it must be a list of values"),
        ({"prune": {"ratio": {"low": 0.3, "high": 1.5}}}, "prune.ratio holds 1.5, which the setting does not take: "),
        ({"prune": {"importance": ["taylr"]}}, "prune.importance holds 'taylr', which the setting does not take: "),
        ({"finetune": {"epochs": {"low": 2, "high": 5.5}}}, "finetune.epochs holds 5.5, which the setting does not "),
        ({"prune": {"ratio": {"low": 0.9, "high": 0.3}}}, "goes from 0.9 to 0.3; low must be a number below high"),
        ({"finetune": {"lr": {"low": 1e-3, "high": 1.0, "log": True, "step": 0.1}}}, "has log, so low must be above 0"),
    ],
)
def test_space_is_refused_when_it_names_what_there_is_not(space, message):
    with pytest.raises(BudgetError, match=message):
        Proposals(PASSES, space, 0)
