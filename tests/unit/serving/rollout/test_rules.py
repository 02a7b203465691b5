"""The rules of roll-outs: who is in whose share, and when a candidate is returned."""

import math
import random
import subprocess
import sys

import pytest

from maas.serving.rollout.assignment import point_of, role_at
from maas.serving.rollout.records import AbTest, Bounds, Canary
from maas.serving.rollout.returning import CandidateCheck, LatestRequests

COUNT = 4000


def users(count: int = COUNT) -> list[bytes]:
    return [f"user-{number}".encode() for number in range(count)]


def test_user_has_one_fraction_when_another_process_computes_it():
    code = (
        "from maas.serving.rollout.assignment import point_of;"
        "print([point_of('digits', 'digits-4', b'user-%d' % n) for n in range(20)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == str([point_of("digits", "digits-4", user) for user in users(20)])


def test_fractions_are_even_when_there_are_many_users():
    found = [point_of("digits", "digits-4", user) for user in users()]
    assert all(0 <= one < 1 for one in found)
    expected = COUNT / 20
    counts = [sum(int(20 * one) == place for one in found) for place in range(20)]
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < 43.8  # the 99.9th percentile of χ² with 19 degrees of freedom


def test_users_are_dealt_out_again_when_the_name_is_another():
    both = [(point_of("m", "one", user) < 0.5, point_of("m", "two", user) < 0.5) for user in users()]
    same = sum(one == two for one, two in both) / COUNT
    assert abs(same - 0.5) < 5 * math.sqrt(0.25 / COUNT)
    assert point_of("ab", "c", b"") != point_of("a", "bc", b"")


@pytest.mark.parametrize(
    ("fraction", "role"), [(0.0, "a"), (0.2499, "a"), (0.25, "c"), (0.7499, "c"), (0.75, "d"), (0.99999999999, "d")]
)
def test_role_is_the_one_whose_share_holds_the_fraction(fraction, role):
    assert role_at(fraction, {"a": 0.25, "b": 0.0, "c": 0.5, "d": 0.25}) == role


def test_last_role_has_what_rounding_leaves_when_shares_sum_to_less_than_1():
    assert role_at(0.9999999999999999, {"a": 0.1, "b": 0.9 - 1e-15, "c": 0.0}) == "b"


def test_whoever_has_the_candidate_keeps_it_when_its_share_grows():
    fractions = [Canary(model="m", candidate="2", percent=percent).fractions for percent in (5, 20, 100)]
    for user in users(500):
        roles = [role_at(point_of("m", "name", user), one) for one in fractions]
        assert roles == sorted(roles, reverse=True)  # stable … candidate
        assert roles[-1] == "candidate"


@pytest.mark.parametrize("weights", [{"3": 1, "4": 1}, {"3": 70, "4": 20, "5": 10}, {"3": 0, "4": 5}])
def test_shares_lie_within_binomial_bounds_when_roles_are_drawn(weights):
    split, draw = AbTest(model="m", versions=weights), random.Random(5)
    drawn = [split.roles[role_at(draw.random(), split.fractions)] for _ in range(COUNT)]
    for version, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(drawn.count(version) / COUNT - share) <= 4 * math.sqrt(share * (1 - share) / COUNT)


def test_window_forgets_when_it_is_full():
    window = LatestRequests(4)
    for one in (None, 0.1, None, 0.2, 0.3, 0.4):
        window.add(one)
    assert (len(window), window.errors, window.seen) == (4, 1, 6)
    assert window.latency_s(100) == 0.4


def test_percentile_is_the_nearest_rank_when_latencies_are_known():
    window = LatestRequests(100)
    assert window.latency_s(50) is None
    for number in random.Random(1).sample(range(1, 21), 20):
        window.add(number / 1000)
    found = [window.latency_s(percentile) for percentile in (1, 5, 50, 95, 96, 100)]
    assert found == [0.001, 0.001, 0.010, 0.019, 0.020, 0.020]


def returned_after(bounds: Bounds, candidate: list[float | None], stable: list[float | None] = ()) -> int | None:
    """Returns after how many of a candidate's requests it is returned."""
    check = CandidateCheck(bounds)
    for one in stable:
        check.stable.add(one)
    for number, one in enumerate(candidate, 1):
        check.candidate.add(one)
        if check.exceeded():
            return number
    return None


def test_candidate_is_returned_when_more_than_the_allowed_fraction_fails():
    bounds = Bounds(max_error_fraction=0.1, min_requests=20)
    assert returned_after(bounds, [None, None] + [0.1] * 200) is None  # 2 of 20 is the bound itself
    assert returned_after(bounds, [None] * 3 + [0.1] * 200) == 20  # not before 20 requests
    assert returned_after(bounds, [0.1] * 30 + [None] * 200) == 34  # 4 of 34 are more than a tenth, 3 of 33 are not
    assert returned_after(Bounds(max_error_fraction=0, min_requests=1), [0.1, 0.1, None]) == 3


def test_old_requests_do_not_hide_errors_when_the_window_is_full():
    bounds = Bounds(max_error_fraction=0.5, min_requests=10)
    assert returned_after(bounds, [0.1] * 5000 + [None] * 600) == 5501


def test_candidate_is_returned_when_it_is_slower_than_allowed():
    bounds = Bounds(max_latency_ratio=2, percentile=50, min_requests=10)
    assert returned_after(bounds, [0.02] * 100, [0.01] * 100) is None  # twice is allowed
    assert returned_after(bounds, [0.021] * 100, [0.01] * 100) == 10
    assert returned_after(bounds, [0.021] * 100, [0.01] * 9) is None  # of the stable version too little is known
    assert returned_after(bounds, [0.021] * 100, [None] * 100) is None
    check = CandidateCheck(bounds)
    for _ in range(10):
        check.stable.add(0.01)
        check.candidate.add(0.031)
    assert check.exceeded() == (
        "its latency at percentile 50 is 31 ms, 3.1 times the stable version's 10 ms; allowed is 2 times"
    )
    assert (check.figures.latency_ms, check.figures.stable_latency_ms) == (31.0, 10.0)
