"""Counts and times as Prometheus' own client would show them."""

import random

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from maas.serving.observers.request_figures import LABELS, RequestFigures

BOUNDS_S = (2**-10, 2**-7, 2**-3)  # sums of such times are exact in any order


def shown(registry: CollectorRegistry) -> set[str]:
    """Returns the samples that a registry shows, without the times at which counters were made."""
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if "_created" not in line}


def test_figures_are_those_of_prometheus_client_when_it_counts_the_same_requests():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    figures = RequestFigures(BOUNDS_S)
    ours.register(figures)
    count = Counter("maas_requests", "Requests answered.", (*LABELS, "status"), registry=theirs)
    times = Histogram(
        "maas_request_seconds",
        "Seconds from a request's head to its reply.",
        LABELS,
        buckets=BOUNDS_S,
        registry=theirs,
    )
    chance = random.Random(0)
    for _ in range(500):
        labels = ("/predict", "rest", chance.choice(["a", 'b"\n']), "1")
        status, seconds = chance.choice([200, 503]), chance.choice([2**-11, *BOUNDS_S, 2**-9, 2**-5, 7.0])
        figures.add(labels, status, seconds)
        count.labels(*labels, str(status)).inc()
        times.labels(*labels).observe(seconds)
    assert len(shown(ours)) > 10
    assert shown(ours) == shown(theirs)
