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


class _Figures:
    """Requests of equal labels and status.

    Args:
        buckets: number of bounds of the histogram, and one for what is beyond them.
    """

    __slots__ = ("buckets", "sum_s")

    def __init__(self, buckets: int) -> None:
        self.buckets = [0] * buckets
        self.sum_s = 0.0


class RequestFigures(Collector):
    """Requests by labels and status, and a histogram of their seconds by labels.

    Args:
        bounds_s: upper bounds of the histogram's buckets, in seconds, in rising order.
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._figures: dict[tuple[RequestLabels, int], _Figures] = {}

    def add(self, labels: RequestLabels, status: int, seconds: float) -> None:
        """Counts one request.

        Args:
            labels: values of `LABELS`.
            status: of the reply.
            seconds: from the request's head to its reply.
        """
        figures = self._figures.get((labels, status))
        if figures is None:
            figures = self._figures[labels, status] = _Figures(len(self._bounds_s) + 1)
        figures.buckets[bisect_left(self._bounds_s, seconds)] += 1
        figures.sum_s += seconds

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Yields both families as they are now."""
        counts = CounterMetricFamily("maas_requests", "Requests answered.", labels=(*LABELS, "status"))
        by_labels: dict[RequestLabels, list[_Figures]] = {}
        for (labels, status), figures in self._figures.items():
            counts.add_metric((*labels, str(status)), sum(figures.buckets))
            by_labels.setdefault(labels, []).append(figures)
        times = HistogramMetricFamily(
            "maas_request_seconds", "Seconds from a request's head to its reply.", labels=LABELS
        )
        names = (*map(str, self._bounds_s), "+Inf")
        for labels, found in by_labels.items():
            buckets = accumulate(map(sum, zip(*(one.buckets for one in found), strict=True)))
            times.add_metric(labels, list(zip(names, buckets, strict=True)), sum(one.sum_s for one in found))
        yield from (counts, times)
