"""Metrics of several processes as one: counters and histograms are added up, gauges as each is meant.

prometheus_client's own way for several processes is a file for each that is mapped into memory: its counters then take
longer for each request, gauges and collectors of one's making are left out, and files of ended processes remain.
Processes that are requested for their figures when these are read pay nothing for a request.
"""

from collections.abc import Iterable, Sequence

import msgspec

from maas.serving.workers.records import BroadcastReply

SUMMED_GAUGES = frozenset(
    {
        "maas_queue_rows",
        "maas_reading_rows",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    }
)
"""Of other gauges the largest counts: they say the same in all processes."""
EARLIEST_GAUGES = frozenset({"process_start_time_seconds"})
COUNTED_BY_ALL = frozenset({"maas_swaps"})
"""Counters of what happens in all processes, and is one event: the largest counts."""
LASTING = frozenset({"counter", "histogram"})
"""Kinds of metrics to which a process that has ended still belongs."""


class SampleRecord(msgspec.Struct, frozen=True, array_like=True):
    """One value.

    Args:
        name: of the series.
        labels: values by name.
        value: as it was read.
    """

    name: str
    labels: dict[str, str]
    value: float


class MetricRecord(msgspec.Struct, frozen=True, array_like=True):
    """A metric with all its values.

    Args:
        name: of the metric.
        documentation: what it is.
        kind: `counter`, `gauge` or `histogram`.
        samples: its values.
    """

    name: str
    documentation: str
    kind: str
    samples: tuple[SampleRecord, ...]


_DECODER = msgspec.msgpack.Decoder(list[MetricRecord])


def decoded_metrics(body: bytes) -> list[MetricRecord]:
    """Returns the metrics that a process sent."""
    return _DECODER.decode(body)


def merged_metrics(processes: Iterable[Sequence[MetricRecord]]) -> list[MetricRecord]:
    """Returns the metrics of several processes as one."""
    found: dict[str, list[MetricRecord]] = {}
    for metrics in processes:
        for metric in metrics:
            found.setdefault(metric.name, []).append(metric)
    return [_merged(same) for same in found.values()]


def _merged(metrics: Sequence[MetricRecord]) -> MetricRecord:
    first = metrics[0]
    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
    for metric in metrics:
        for sample in metric.samples:
            values.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    samples = (SampleRecord(name, dict(labels), _joined(first, name, same)) for (name, labels), same in values.items())
    return MetricRecord(first.name, first.documentation, first.kind, tuple(samples))


def _joined(metric: MetricRecord, sample: str, values: Sequence[float]) -> float:
    """Returns the values of one series in several processes as one."""
    if sample.endswith("_created") or metric.name in EARLIEST_GAUGES:
        return min(values)
    is_summed = metric.name in SUMMED_GAUGES if metric.kind == "gauge" else metric.name not in COUNTED_BY_ALL
    return sum(values) if is_summed else max(values)


class KeptFigures:
    """Figures of workers that have ended, so that no counter falls, and the last ones of those that are late."""

    def __init__(self) -> None:
        self._last: dict[int, bytes] = {}
        self._ended: list[MetricRecord] = []

    def completed(self, replies: Sequence[BroadcastReply]) -> list[BroadcastReply]:
        """Returns the replies of workers with what is known of the others."""
        self._last |= {reply.worker: reply.body for reply in replies if not reply.fault}
        kept = [BroadcastReply(worker, body) for worker, body in self._last.items()]
        return [*kept, BroadcastReply(0, msgspec.msgpack.encode(self._ended))]

    def retire(self, worker: int) -> None:
        """Adds the last figures of a worker that has ended to those of the others before it."""
        body = self._last.pop(worker, None)
        if body is not None:
            lasting = [metric for metric in decoded_metrics(body) if metric.kind in LASTING]
            self._ended = merged_metrics([self._ended, lasting])
