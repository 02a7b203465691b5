"""The metrics of all workers as one page, at any of them."""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from maas.serving.observers.metrics import MEDIA_TYPE, Metrics, MetricsPage
from maas.serving.peers import Peers
from maas.serving.protocols.operation_documents import OperationDocument
from maas.serving.protocols.operations import Action, Reply, Request
from maas.serving.repository import Snapshot
from maas.serving.workers.figures import MetricRecord, SampleRecord, decoded_metrics, merged_metrics
from maas.serving.workers.records import METRICS


class SharedMetricsPage(Action):
    """The metrics of all workers.

    Args:
        metrics: of this worker.
        peers: the workers.
    """

    method = "GET"
    path = MetricsPage.path
    summary = MetricsPage.summary

    def __init__(self, metrics: Metrics, peers: Peers) -> None:
        self._metrics = metrics
        self._peers = peers
        peers.handle(METRICS, self._own)

    async def perform(self, request: Request) -> Reply:
        """Returns the metrics of all workers, and of those that have ended."""
        replies = await self._peers.broadcast(METRICS, is_change=False)
        merged = merged_metrics(decoded_metrics(reply.body) for reply in replies if reply.error is None)
        return Reply(generate_latest(_Merged(merged)), MEDIA_TYPE)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns one line as an example."""
        return MetricsPage(self._metrics).document(snapshot)

    async def _own(self, _: bytes) -> bytes:
        return msgspec.msgpack.encode(recorded_metrics(self._metrics.registry.collect()))


def recorded_metrics(metrics: Iterable[Metric]) -> list[MetricRecord]:
    """Returns what a process has counted and measured as records."""
    return [
        MetricRecord(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(SampleRecord(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples),
        )
        for metric in metrics
    ]


class _Merged(Collector):
    def __init__(self, metrics: Iterable[MetricRecord]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        for record in self._metrics:
            metric = Metric(record.name, record.documentation, record.kind)
            for sample in record.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric
