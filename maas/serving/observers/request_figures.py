"""Requests and runs as Prometheus reads them, kept without locks: all requests end on the event loop.

The runs of one version of a model are counted one after another. prometheus_client's own counter and histogram take
five locks a request, longer than a small model runs.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

LABELS = ("route", "protocol", "model", "version")
RequestLabels = tuple[str, str, str, str]


class _Figures:
    """Values of equal labels.

    Args:
        buckets: number of bounds of the histogram, and one for what is beyond them.
    """

    __slots__ = ("buckets", "sum")

    def __init__(self, buckets: int) -> None:
        self.buckets = [0] * buckets
        self.sum = 0.0


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
        figures.sum += seconds

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
        for labels, found in by_labels.items():
            buckets = list(map(sum, zip(*(one.buckets for one in found), strict=True)))
            times.add_metric(labels, _named(self._bounds_s, buckets), sum(one.sum for one in found))
        yield from (counts, times)


class RunFigures(Collector):
    """A histogram of the rows of runs, by model and version.

    Args:
        bounds: upper bounds of the histogram's buckets, in rows, in rising order.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._figures: dict[tuple[str, str], _Figures] = {}

    def watch(self, model: str, version: str) -> None:
        """Shows a version of a model before its first run."""
        self._figures.setdefault((model, version), _Figures(len(self._bounds) + 1))

    def add(self, model: str, version: str, rows: int) -> None:
        """Counts one run."""
        if (model, version) not in self._figures:
            self.watch(model, version)
        figures = self._figures[model, version]
        figures.buckets[bisect_left(self._bounds, rows)] += 1
        figures.sum += rows

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yields the histogram as it is now."""
        rows = HistogramMetricFamily("maas_batch_rows", "Rows in one run of a model.", labels=("model", "version"))
        for labels, figures in self._figures.items():
            rows.add_metric(labels, _named(self._bounds, figures.buckets), figures.sum)
        yield rows


def _named(bounds: Sequence[float], buckets: Sequence[int]) -> list[tuple[str, int]]:
    """Returns how many values lie within each bound, by its name."""
    return list(zip((*map(str, bounds), "+Inf"), accumulate(buckets), strict=True))
