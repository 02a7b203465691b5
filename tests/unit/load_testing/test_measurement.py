"""Percentiles, histogram and verdicts against their definitions written out."""

from itertools import pairwise

import numpy as np
import pytest

from maas.load_testing.measurement import Load


def load(latencies_ms, errors=None, **settings) -> Load:
    failed = [np.inf] * sum((errors or {}).values())
    known = {
        "rate": 10.0,
        "seconds": 2.0,
        "late_ms": 0.0,
        "busy_fraction": 0.2,
        "cpu_fraction": 0.1,
        "queued_fraction": 0.0,
    }
    return Load(latencies_ms=np.sort(np.array([*latencies_ms, *failed])), errors=errors or {}, **{**known, **settings})


@pytest.mark.parametrize("count", [1, 2, 99, 100, 1000, 1001])
@pytest.mark.parametrize("percent", [50, 90, 99, 99.9])
def test_percentile_is_the_smallest_latency_that_so_many_do_not_exceed(count, percent):
    values = np.random.default_rng(count).exponential(5, count)
    enough = [one for one in values if 1000 * (values <= one).sum() >= round(10 * percent) * count]
    assert load(values).percentile_ms(percent) == min(enough)


def test_failed_requests_count_as_never_answered():
    found = load([1.0] * 98, {"503 overloaded": 2})
    assert (found.requests, len(found.answered), found.answered_per_s) == (100, 98, 49)
    assert (found.percentile_ms(98), found.percentile_ms(99), found.longest_ms) == (1.0, np.inf, 1.0)
    assert not found.keeps(1000)
    assert found.record()["latency_ms"] == {"p50": 1.0, "p90": 1.0, "p99": None, "p99.9": None, "max": 1.0}


def test_load_is_kept_when_the_99th_percentile_is_short_enough():
    found = load([1.0] * 99 + [80.0])
    assert found.keeps(1.0)
    assert not found.keeps(0.9)


def test_histogram_has_every_answer_in_a_bin_that_holds_it():
    values = np.random.default_rng(1).lognormal(0, 2, 5000)
    edges, counts = load(values, {"closed": 3}).histogram()
    assert counts.sum() == 5000
    assert edges[0] <= values.min() < edges[1]
    assert edges[-2] <= values.max() <= edges[-1]
    assert np.allclose(edges[1:] / edges[:-1], 10**0.1)
    inside = [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges)]
    assert counts.tolist() == inside


@pytest.mark.parametrize("latencies", [[], [3.0], [10.0, 10.0]])
def test_histogram_holds_few_answers_when_there_are_few(latencies):
    assert load(latencies, {"closed": 1}).histogram()[1].sum() == len(latencies)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"busy_fraction": 0.95}, "busy for 95% of the time, and had 10% of a processor"),
        ({"late_ms": 2.5}, "2.5 ms"),
        ({"late_ms": 0.9, "busy_fraction": 0.75, "cpu_fraction": 0.6}, ""),
        ({"busy_fraction": 0.5}, "kept the generator from a processor for 40% of the time"),
    ],
)
def test_generator_is_named_as_the_limit_when_it_was_busy_or_late(settings, named):
    limit = load([5.0] * 10, **settings).limit
    assert named in limit
    assert bool(limit) == bool(named)
