"""The smallest product of size and time is chosen; what timings cannot tell apart, facts do."""

import pytest

from maas.compression.choosing import REASONS_SHOWN, best_candidate, better_of, choice
from maas.records.evidence import CandidateRecord, Interval, Latency


def candidate(name: str, size: int, ratio: float = 1.0, spread: float = 0.0, **fields: object) -> CandidateRecord:
    """Returns a record whose batch takes `ratio` of the time, with quartiles that far apart on each side."""
    latency = Latency(32, 1, ratio, spread, ratio, ratio - spread, ratio + spread)
    return CandidateRecord(name, "", "", size, 0.0, latency=latency, **fields)


ROOT = candidate("fp32", 1000)


@pytest.mark.parametrize("noise", [0.0, 0.02, -0.02])
def test_smaller_one_is_chosen_whatever_the_noise_when_times_cannot_tell(noise):
    small, large = candidate("small", 99, 0.5 + noise, 0.03, macs=7), candidate("large", 100, 0.5 - noise, 0.03, macs=5)
    assert best_candidate([large, small]) is small


def test_fewer_operations_decide_when_bytes_are_equal_too():
    wide, narrow = candidate("wide", 100, 0.5, 0.1, macs=9), candidate("narrow", 100, 0.51, 0.1, macs=3)
    assert best_candidate([wide, narrow]) is narrow


def test_faster_one_is_chosen_when_its_time_makes_up_for_its_bytes():
    assert best_candidate([candidate("small", 90, 0.8, 0.05), fast := candidate("fast", 100, 0.5, 0.05)]) is fast


def test_refused_one_is_passed_over_when_it_is_the_smallest():
    best, reason = choice([ROOT, candidate("bad", 10, reasons=("it is bad",)), candidate("good", 500, 0.5)], {})
    assert best.name == "good"
    assert reason == "2.00 times smaller, a batch takes 0.50 of the time."


def test_reason_stays_short_when_a_thousand_were_refused():
    refused = [candidate(f"c{index}", 10, reasons=("it is bad",)) for index in range(1000)]
    best, reason = choice([ROOT, *refused], {"pipeline": "it was pruned"})
    assert best is ROOT
    assert reason.startswith("Nothing that was tried keeps the budget, so fp32 is kept (c0: it is bad; c1: it is bad; ")
    assert reason.endswith(f"; and {1001 - REASONS_SHOWN} more).")


@pytest.mark.parametrize(("metric", "wins"), [("accuracy", False), ("log_loss", True)])
def test_scratch_baseline_wins_when_its_metric_is_better_whichever_way_that_is(metric, wins):
    pruned = candidate("pruned", 100, metric=Interval(0.5, 0.4, 0.6))
    scratch = candidate("scratch0", 100, metric=Interval(0.3, 0.2, 0.4))
    best, _ = better_of(pruned, "it is small.", [scratch], metric)
    assert (best is scratch) is wins
