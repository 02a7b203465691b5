"""What was measured at one rate."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
BUSY, STARVED, LATE_MS = 0.8, 0.2, 1.0
"""From where on the generator is the limit: fractions of the time, and a delay."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured at one rate.

    Args:
        rate: requests that were due each second.
        seconds: time from the first to the last request that was due, or to the last reply if that is later.
        latencies_ms: from the moment that a request was due to the end of its reply, sorted; infinite where it failed.
        errors: number of failed requests by status and code, or by what happened to the connection.
        late_ms: 99th percentile of the time by which a request left too late though a connection was free.
        busy_fraction: fraction of the time in which the generator had something to do, or was kept from it.
        cpu_fraction: processor time of the generator by time.
        queued_fraction: fraction of the requests that waited for a free connection.
    """

    rate: float
    seconds: float
    latencies_ms: NDArray[np.float64]
    errors: Mapping[str, int]
    late_ms: float
    busy_fraction: float
    cpu_fraction: float
    queued_fraction: float

    @property
    def requests(self) -> int:
        """Number of requests that were due."""
        return len(self.latencies_ms)

    @property
    def answered(self) -> NDArray[np.float64]:
        """The latencies of those that did not fail, in milliseconds."""
        return self.latencies_ms[: self.requests - sum(self.errors.values())]

    @property
    def answered_per_s(self) -> float:
        """Requests that were answered each second."""
        return len(self.answered) / self.seconds

    @property
    def longest_ms(self) -> float:
        """The longest latency of those that did not fail, in milliseconds."""
        return float(self.answered[-1]) if len(self.answered) else float("inf")

    def percentile_ms(self, percent: float) -> float:
        """Returns the latency that so many requests do not exceed; infinite where too many failed.

        Args:
            percent: of all requests that were due.
        """
        return float(self.latencies_ms[max(0, int(np.ceil(self.requests * percent / 100)) - 1)])

    def keeps(self, p99_ms: float) -> bool:
        """Returns whether nothing failed and the 99th percentile is at most this."""
        return not self.errors and self.percentile_ms(99) <= p99_ms

    @property
    def limit(self) -> str:
        """What limited the load other than the server: the generator, its connections, or nothing."""
        if self.busy_fraction > BUSY:
            cpu = f"{self.cpu_fraction:.0%} of a processor"
            return f"the generator was busy for {self.busy_fraction:.0%} of the time, and had {cpu}"
        if (starved := self.busy_fraction - self.cpu_fraction) > STARVED:
            return f"other processes kept the generator from a processor for {starved:.0%} of the time"
        if self.late_ms > max(LATE_MS, self.percentile_ms(50) / 10):
            return f"requests left {self.late_ms:.1f} ms (p99) late though connections were free"
        return ""

    def record(self) -> dict[str, Any]:
        """Returns it for JSON: percentiles and a histogram with ten bins a decade, times in milliseconds."""
        edges, counts = self.histogram()
        shown = {f"p{percent:g}": _finite(self.percentile_ms(percent)) for percent in PERCENTILES}
        return {
            "rate": self.rate,
            "requests": self.requests,
            "answered_per_s": round(self.answered_per_s, 3),
            "latency_ms": {**shown, "max": _finite(self.longest_ms)},
            "histogram": {"upper_edges_ms": edges[1:].round(6).tolist(), "requests": counts.tolist()},
            "errors": dict(self.errors),
            "generator": {
                "busy_fraction": round(self.busy_fraction, 4),
                "cpu_fraction": round(self.cpu_fraction, 4),
                "late_p99_ms": round(self.late_ms, 4),
                "queued_fraction": round(self.queued_fraction, 5),
                "limit": self.limit or None,
            },
        }

    def histogram(self, bins_per_decade: int = 10) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Returns edges (B + 1) in milliseconds, evenly spaced on a logarithmic axis, and counts (B) of answers.

        Args:
            bins_per_decade: bins from one power of ten to the next.
        """
        found = self.answered
        if not len(found):
            return np.zeros(1), np.zeros(0, dtype=np.int64)
        low, high = np.log10(max(found[0], 1e-6)), np.log10(max(found[-1], 1e-6))
        first = np.floor(low * bins_per_decade)
        last = max(first + 1, np.floor(high * bins_per_decade) + 1)
        edges = 10 ** (np.arange(first, last + 1) / bins_per_decade)
        counts, _ = np.histogram(found, edges)
        return edges, counts.astype(np.int64)


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
