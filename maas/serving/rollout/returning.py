"""When a candidate is returned: its latest requests against its bounds and against the stable version."""

import math
from collections import deque

from maas.serving.rollout.records import Bounds, ReturnFigures

LATEST_REQUESTS = 1000
"""Requests that are looked at; old ones must not hide what happens now."""
CHECK_EVERY = 100
"""Requests between two looks at latencies, which are sorted for it."""


class LatestRequests:
    """The latest requests to one version.

    Args:
        size: number of them that are kept.
    """

    def __init__(self, size: int = LATEST_REQUESTS) -> None:
        self._latest: deque[float | None] = deque(maxlen=size)
        self.errors = self.seen = 0

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, seconds: float | None) -> None:
        """Takes one request.

        Args:
            seconds: its latency; null where it failed.
        """
        if len(self._latest) == self._latest.maxlen and self._latest[0] is None:
            self.errors -= 1
        self._latest.append(seconds)
        self.errors += seconds is None
        self.seen += 1

    def latency_s(self, percentile: float) -> float | None:
        """Returns the nearest-rank percentile of the latencies: the ⌈p/100·n⌉th of n; null where there are none."""
        answered = sorted(one for one in self._latest if one is not None)
        return answered[math.ceil(percentile / 100 * len(answered)) - 1] if answered else None


class CandidateCheck:
    """Compares the requests of a candidate with its bounds and with the stable version's.

    Args:
        bounds: of the candidate.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        size = max(LATEST_REQUESTS, bounds.min_requests)
        self.candidate, self.stable = LatestRequests(size), LatestRequests(size)

    @property
    def figures(self) -> ReturnFigures:
        """What is known now."""
        percentile = self.bounds.percentile
        return ReturnFigures(
            requests=len(self.candidate),
            errors=self.candidate.errors,
            latency_ms=_ms(self.candidate.latency_s(percentile)),
            stable_requests=len(self.stable),
            stable_latency_ms=_ms(self.stable.latency_s(percentile)),
        )

    def exceeded(self) -> str:
        """Returns which bound is exceeded, and by how much, after a request to the candidate; empty for none."""
        if len(self.candidate) < self.bounds.min_requests:
            return ""
        if self.candidate.seen % min(CHECK_EVERY, self.bounds.min_requests):
            return self._by_errors()
        return self._by_errors() or self._by_latency()

    def _by_errors(self) -> str:
        most, errors, requests = self.bounds.max_error_fraction, self.candidate.errors, len(self.candidate)
        if most is None or errors <= most * requests:
            return ""
        return f"{errors} of its latest {requests} requests failed ({errors / requests:.3g}); allowed is {most:g}"

    def _by_latency(self) -> str:
        most, percentile = self.bounds.max_latency_ratio, self.bounds.percentile
        if most is None or len(self.stable) < self.bounds.min_requests:
            return ""
        found, stable = self.candidate.latency_s(percentile), self.stable.latency_s(percentile)
        if found is None or stable is None or found <= most * stable:
            return ""
        return (
            f"its latency at percentile {percentile:g} is {1000 * found:.3g} ms, {found / stable:.3g} times the stable "
            f"version's {1000 * stable:.3g} ms; allowed is {most:g} times"
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)
