"""Counts and times of requests as Prometheus reads them, kept without locks: all requests end on the event loop.

prometheus_client's own counter and histogram take five locks a request, longer than a small model runs.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

LABELS = ("route", "protocol", "model", "version")
RequestLabels = tuple[str, str, str, str]


class RequestFigures(Collector):
    """Requests by labels and status, and a histogram of their seconds by labels.

    Args:
        bounds_s: upper bounds of the histogram's buckets, in seconds, in rising order.
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts: dict[tuple[RequestLabels, int], int] = {}
        self._buckets: dict[RequestLabels, list[int]] = {}
        self._sums: dict[RequestLabels, float] = {}

    def add(self, labels: RequestLabels, status: int, seconds: float) -> None:
        """Counts one request.

        Args:
            labels: values of `LABELS`.
            status: of the reply.
            seconds: from the request's head to its reply.
        """
        key = (labels, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._buckets.get(labels)
        if buckets is None:
            buckets = self._buckets[labels] = [0] * (len(self._bounds_s) + 1)
            self._sums[labels] = 0.0
        buckets[bisect_left(self._bounds_s, seconds)] += 1
        self._sums[labels] += seconds

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Yields both families as they are now."""
        counts = CounterMetricFamily("maas_requests", "Requests answered.", labels=(*LABELS, "status"))
        for (labels, status), count in self._counts.items():
            counts.add_metric((*labels, str(status)), count)
        times = HistogramMetricFamily(
            "maas_request_seconds", "Seconds from a request's head to its reply.", labels=LABELS
        )
        names = (*map(str, self._bounds_s), "+Inf")
        for labels, buckets in self._buckets.items():
            times.add_metric(labels, list(zip(names, accumulate(buckets), strict=True)), self._sums[labels])
        yield from (counts, times)
