"""Requests, runs and events as they are counted, without locks: all requests end on the event loop.

The runs of one version of a model are counted one after another. prometheus_client's own counter and histogram take
five locks a request, longer than a small model runs.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

LABELS = ("route", "protocol", "model", "version")
RequestLabels = tuple[str, str, str, str]


class Buckets:
    """How many values lie within each of some bounds, and the sum of them all.

    Args:
        bounds: upper bounds, in rising order.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(self.counts)

    def within(self) -> list[tuple[str, int]]:
        """Returns how many values lie within each bound, by its name."""
        return list(zip((*map(str, self.bounds), "+Inf"), accumulate(self.counts), strict=True))


def joined_buckets(some: Sequence[Buckets]) -> Buckets:
    """Returns buckets of the values of several ones, which have the same bounds."""
    joined = Buckets(some[0].bounds)
    joined.counts = list(map(sum, zip(*(one.counts for one in some), strict=True)))
    joined.sum = sum(one.sum for one in some)
    return joined


class RequestFigures:
    """Requests by labels and status, with their seconds.

    Args:
        bounds_s: upper bounds of the histogram's buckets, in seconds, in rising order.
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self.by_status: dict[tuple[RequestLabels, int], Buckets] = {}

    def add(self, labels: RequestLabels, status: int, seconds: float) -> None:
        """Counts one request.

        Args:
            labels: values of `LABELS`.
            status: of the reply.
            seconds: from the request's head to its reply.
        """
        found = self.by_status.get((labels, status))
        if found is None:
            found = self.by_status[labels, status] = Buckets(self._bounds_s)
        found.add(seconds)

    def by_labels(self) -> dict[RequestLabels, Buckets]:
        """Returns the seconds of requests of any status."""
        found: dict[RequestLabels, list[Buckets]] = {}
        for (labels, _), buckets in self.by_status.items():
            found.setdefault(labels, []).append(buckets)
        return {labels: joined_buckets(some) for labels, some in found.items()}


class RunFigures:
    """Runs by model and version, with their rows.

    Args:
        bounds: upper bounds of the histogram's buckets, in rows, in rising order.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self.by_version: dict[tuple[str, str], Buckets] = {}

    def watch(self, model: str, version: str) -> None:
        """Shows a version of a model before its first run."""
        self.by_version.setdefault((model, version), Buckets(self._bounds))

    def add(self, model: str, version: str, rows: int) -> None:
        """Counts one run."""
        if (model, version) not in self.by_version:
            self.watch(model, version)
        self.by_version[model, version].add(rows)


class EventCount(msgspec.Struct):
    """How often something happened.

    Args:
        since_s: when it happened first, in seconds since 1970.
        count: number of times.
    """

    since_s: float
    count: int = 0


class EventFigures:
    """How often something happened, by two labels."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], EventCount] = {}

    def add(self, first: str, second: str) -> None:
        """Counts once more."""
        if (first, second) not in self._counts:
            self._counts[first, second] = EventCount(time.time())
        self._counts[first, second].count += 1

    def __iter__(self) -> Iterator[tuple[tuple[str, str], EventCount]]:
        return iter(self._counts.items())
