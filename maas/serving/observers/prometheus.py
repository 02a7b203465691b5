"""Metrics as prometheus_client has them, read off what a server has counted."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from maas.serving.observers.metrics import Metrics
from maas.serving.observers.request_figures import LABELS, EventFigures, RequestFigures, RunFigures
from maas.serving.repository import Repository

AnyMetric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def prometheus_registry(metrics: Metrics) -> CollectorRegistry:
    """Returns a registry of a server's metrics and of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_ServerMetrics(metrics))
    return registry


class _ServerMetrics(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[AnyMetric]:
        """Yields all metrics as they are now."""
        metrics = self._metrics
        yield from request_metrics(metrics.requests)
        yield run_metric(metrics.runs)
        yield event_metric(
            "maas_swaps",
            "Versions that an alias moved to: swapped, refused or failed; and looks that found none.",
            ("model", "result"),
            metrics.swaps,
        )
        yield from _rollouts(metrics)
        if metrics.repository is not None:
            yield from _models(metrics.repository, metrics.reading_rows())
            yield from _generating(metrics.repository)


def request_metrics(figures: RequestFigures) -> Iterator[AnyMetric]:
    """Yields requests by labels and status, and a histogram of their seconds by labels."""
    counts = CounterMetricFamily("maas_requests", "Requests answered.", labels=(*LABELS, "status"))
    for (labels, status), buckets in figures.by_status.items():
        counts.add_metric((*labels, str(status)), buckets.count)
    times = HistogramMetricFamily("maas_request_seconds", "Seconds from a request's head to its reply.", labels=LABELS)
    for labels, buckets in figures.by_labels().items():
        times.add_metric(labels, buckets.within(), buckets.sum)
    yield from (counts, times)


def run_metric(figures: RunFigures) -> AnyMetric:
    """Returns a histogram of the rows of runs, by model and version."""
    rows = HistogramMetricFamily("maas_batch_rows", "Rows in one run of a model.", labels=("model", "version"))
    for labels, buckets in figures.by_version.items():
        rows.add_metric(labels, buckets.within(), buckets.sum)
    return rows


def event_metric(name: str, documentation: str, labels: tuple[str, str], figures: EventFigures) -> AnyMetric:
    """Returns a counter.

    Args:
        name: of the metric.
        documentation: what it counts.
        labels: names of its labels.
        figures: what was counted.
    """
    metric = CounterMetricFamily(name, documentation, labels=labels)
    for values, event in figures:
        metric.add_metric(values, event.count, created=event.since_s)
    return metric


def _rollouts(metrics: Metrics) -> Iterator[AnyMetric]:
    """Yields what there is of roll-outs: copies by their result, candidates that were returned, and which there are."""
    yield event_metric(
        "maas_shadow",
        "Copies of requests for a candidate: its answer was same, different or failed, or the copy was dropped.",
        ("model", "result"),
        metrics.copies,
    )
    yield event_metric(
        "maas_rollout_returns",
        "Candidates that exceeded a bound and get no more requests.",
        ("model", "rollout"),
        metrics.returns,
    )
    labels = ("rollout", "model", "kind", "status")
    info = GaugeMetricFamily("maas_rollout_info", "The roll-outs that are kept; always 1.", labels=labels)
    for name, record in metrics.rollouts().items():
        kind = str(record.rollout.__struct_config__.tag)
        info.add_metric((name, record.rollout.model, kind, record.status), 1)
    yield info


def _models(repository: Repository, reading_rows: int) -> Iterator[AnyMetric]:
    """Yields gauges that are read off a repository's snapshot."""
    labels = ("model", "version", "digest", "precision")
    queue = GaugeMetricFamily("maas_queue_rows", "Rows that wait for a model.", labels=labels[:2])
    models = GaugeMetricFamily("maas_model_info", "The models that are served; always 1.", labels=labels)
    for one in repository.snapshot.deployments:
        queue.add_metric((one.name, one.version), one.engine.queued_rows)
        models.add_metric((one.name, one.version, one.bundle.digest, one.bundle.manifest.precision), 1)
    reading = GaugeMetricFamily("maas_reading_rows", "Rows of large requests that wait to be read.")
    reading.add_metric((), reading_rows)
    yield from (queue, models, reading)


def _generating(repository: Repository) -> Iterator[AnyMetric]:
    """Yields what is known of models that generate; nothing where none is served."""
    deployments, labels = repository.snapshot.generating, ("model", "version")
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
