"""Prometheus metrics, in a registry of their own."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from maas.serving.observers import Outcome
from maas.serving.observers.request_figures import RequestFigures, RunFigures
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.repository import Repository, Snapshot

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Metrics:
    """Counts requests, times them, and watches batches and queues."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = RequestFigures(_SECONDS)
        self.registry.register(self._requests)
        self._runs = RunFigures(_ROWS)
        self.registry.register(self._runs)
        self._swaps = Counter(
            "maas_swaps",
            "Versions that an alias moved to: swapped, refused or failed; and looks that found none.",
            ("model", "result"),
            registry=self.registry,
        )

    def observe(self, outcome: Outcome) -> None:
        """Counts one request and its time."""
        labels = (outcome.route, outcome.protocol, outcome.model, outcome.version)
        self._requests.add(labels, outcome.status, outcome.seconds)

    def observe_rows(self, model: str, version: str, rows: int) -> None:
        """Counts one run of a version of a model and its rows."""
        self._runs.add(model, version, rows)

    def observe_swap(self, model: str, result: str) -> None:
        """Counts a version that an alias moved to, or a look that found none."""
        self._swaps.labels(model, result).inc()

    def watch(self, repository: Repository, reading_rows: Callable[[], int] = lambda: 0) -> None:
        """Shows the models of a repository and their queues, as they are when metrics are read.

        Args:
            repository: the models.
            reading_rows: returns the number of rows that wait to be read.
        """
        self.registry.register(_Models(repository, reading_rows))
        for deployment in repository.snapshot.deployments:
            self._runs.watch(deployment.name, deployment.version)

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class MetricsPage(Page):
    """The metrics as a page.

    Args:
        metrics: what is shown.
    """

    path = "/metrics"
    summary = "Counters and histograms for Prometheus."

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns all metrics."""
        return Reply(self._metrics.render(), MEDIA_TYPE)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns one line as an example."""
        labels = 'route="/predict",protocol="rest",model="digits",version="1",status="200"'
        example = f"maas_requests_total{{{labels}}} 1.0"
        return OperationDocument(Content({"type": "string"}, example, MEDIA_TYPE.decode().partition(";")[0]))


class _Models(Collector):
    """Gauges that are read off a repository's snapshot."""

    def __init__(self, repository: Repository, reading_rows: Callable[[], int]) -> None:
        self._repository = repository
        self._reading_rows = reading_rows

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        labels = ("model", "version", "digest", "precision")
        queue = GaugeMetricFamily("maas_queue_rows", "Rows that wait for a model.", labels=labels[:2])
        models = GaugeMetricFamily("maas_model_info", "The models that are served; always 1.", labels=labels)
        for one in self._repository.snapshot.deployments:
            queue.add_metric((one.name, one.version), one.engine.queued_rows)
            models.add_metric((one.name, one.version, one.bundle.digest, one.bundle.manifest.precision), 1)
        reading = GaugeMetricFamily("maas_reading_rows", "Rows of large requests that wait to be read.")
        reading.add_metric((), self._reading_rows())
        yield from (queue, models, reading)
        yield from self._generating()

    def _generating(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yields what is known of models that generate; nothing where none is served."""
        deployments, labels = self._repository.snapshot.generating, ("model", "version")
        if not deployments:
            return
        running = GaugeMetricFamily("maas_running_texts", "Texts that are generated now.", labels=labels)
        prompts = CounterMetricFamily("maas_prompt_tokens", "Tokens of prompts.", labels=labels)
        cached = CounterMetricFamily(
            "maas_cached_prompt_tokens", "Tokens of prompts that were not computed again.", labels=labels
        )
        generated = CounterMetricFamily("maas_generated_tokens", "Tokens that were generated.", labels=labels)
        failed = CounterMetricFamily("maas_failed_texts", "Texts that ended because the model failed.", labels=labels)
        for one in deployments:
            running.add_metric((one.name, one.version), one.engine.running_texts)
            prompts.add_metric((one.name, one.version), one.engine.prompt_tokens)
            cached.add_metric((one.name, one.version), one.engine.cached_prompt_tokens)
            generated.add_metric((one.name, one.version), one.engine.generated_tokens)
            failed.add_metric((one.name, one.version), one.engine.failed_texts)
        yield from (running, prompts, cached, generated, failed)
