"""Counts and times as Prometheus' own client would show them."""

import random
import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import Collector

from maas.serving.observers.metrics import Metrics
from maas.serving.observers.prometheus import event_metric, request_metrics, run_metric
from maas.serving.observers.request_figures import LABELS, EventFigures, RequestFigures, RunFigures

BOUNDS_S = (2**-10, 2**-7, 2**-3)  # sums of such times are exact in any order


def shown(registry: CollectorRegistry) -> set[str]:
    """Returns the samples that a registry shows, without the times at which counters were made."""
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if "_created" not in line}


class Shown(Collector):
    """Metrics, as they are when they are read."""

    def __init__(self, collect) -> None:
        self.collect = collect


def test_figures_are_those_of_prometheus_client_when_it_counts_the_same_requests():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    figures = RequestFigures(BOUNDS_S)
    ours.register(Shown(lambda: request_metrics(figures)))
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


def test_runs_are_those_of_prometheus_client_when_it_counts_the_same():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    figures = RunFigures((1.0, 2.0, 4.0))
    ours.register(Shown(lambda: [run_metric(figures)]))
    rows = Histogram(
        "maas_batch_rows", "Rows in one run of a model.", ("model", "version"), buckets=(1, 2, 4), registry=theirs
    )
    figures.watch("idle", "1")
    rows.labels("idle", "1")
    chance = random.Random(0)
    for _ in range(200):
        version, count = chance.choice("12"), chance.choice([1, 2, 3, 4, 9])
        figures.add("a", version, count)
        rows.labels("a", version).observe(count)
    assert shown(ours) == shown(theirs)


def test_events_are_those_of_prometheus_client_when_it_counts_the_same():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    figures = EventFigures()
    ours.register(Shown(lambda: [event_metric("maas_swaps", "Versions.", ("model", "result"), figures)]))
    swaps = Counter("maas_swaps", "Versions.", ("model", "result"), registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    for labels in [("a", "swapped"), ("b", "failed"), ("a", "swapped")]:
        figures.add(*labels)
        swaps.labels(*labels).inc()
    assert shown(ours) == shown(theirs)
    assert ours.get_sample_value("maas_swaps_total", {"model": "a", "result": "swapped"}) == 2
    made = [ours.get_sample_value("maas_swaps_created", {"model": "a", "result": "swapped"}) for _ in range(2)]
    assert made[0] == made[1] <= time.time()


def test_process_and_all_figures_are_shown_when_nothing_was_counted():
    page = Metrics().render().decode()
    names = ("requests", "batch_rows", "swaps", "shadow", "rollout_returns", "rollout_info")
    assert all(f"# TYPE maas_{name}" in page for name in names)
    assert "process_resident_memory_bytes" in page
