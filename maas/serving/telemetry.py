"""Prometheus metrics, in a registry of their own."""

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Telemetry:
    """Counts requests, times them, and watches batches and queues."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "maas_requests", "Requests answered.", ("route", "model", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "maas_request_seconds",
            "Seconds from a request's head to its answer.",
            ("route", "model"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "maas_batch_rows", "Rows in one run of a model.", ("model",), buckets=_ROWS, registry=self.registry
        )
        self._queue = Gauge("maas_queue_rows", "Rows that wait for a model.", ("model",), registry=self.registry)
        self._models = Gauge(
            "maas_model_info",
            "The models that are served; always 1.",
            ("model", "version", "digest", "precision"),
            registry=self.registry,
        )
        self._children = lru_cache(maxsize=1024)(self._labelled)

    def observe_request(self, route: str, model: str, status: int, seconds: float) -> None:
        """Counts one request and its time.

        Args:
            route: the path as its route writes it, or `unknown`; never the path that a client made up.
            model: the model's name, or empty.
            status: the HTTP status.
            seconds: until its answer was ready.
        """
        count, time = self._children(route, model, status)
        count.inc()
        time.observe(seconds)

    def add_model(
        self, name: str, version: str, digest: str, precision: str, queued_rows: Callable[[], float]
    ) -> Callable[[float], None]:
        """Shows a model and its queue; returns what is to be told the rows of each of its runs."""
        self._models.labels(name, version, digest, precision).set(1)
        self._queue.labels(name).set_function(queued_rows)
        observe: Callable[[float], None] = self._batches.labels(name).observe
        return observe

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _labelled(self, route: str, model: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, model, str(status)), self._seconds.labels(route, model)
