"""Prometheus metrics of roll-outs: what there is, copies by their result, candidates that were returned."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from maas.serving.rollout.rollouts import Rollouts


class RolloutMetrics:
    """Counts copies and returns.

    Args:
        registry: of all metrics of the server.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._copies = Counter(
            "maas_shadow",
            "Copies of requests for a candidate: its answer was same, different or failed, or the copy was dropped.",
            ("model", "result"),
            registry=registry,
        )
        self._returns = Counter(
            "maas_rollout_returns",
            "Candidates that exceeded a bound and get no more requests.",
            ("model", "rollout"),
            registry=registry,
        )

    def observe_shadow(self, model: str, result: str) -> None:
        """Counts a copy of a request."""
        self._copies.labels(model, result).inc()

    def observe_return(self, model: str, rollout: str) -> None:
        """Counts a candidate that exceeded a bound."""
        self._returns.labels(model, rollout).inc()

    def watch(self, rollouts: Rollouts) -> None:
        """Shows what roll-outs there are when metrics are read."""
        self._registry.register(_KeptRollouts(rollouts))


class _KeptRollouts(Collector):
    """A gauge that is read off the state of roll-outs."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ("rollout", "model", "kind", "status")
        info = GaugeMetricFamily("maas_rollout_info", "The roll-outs that are kept; always 1.", labels=labels)
        for name, record in self._rollouts.state.rollouts.items():
            kind = str(record.rollout.__struct_config__.tag)
            info.add_metric((name, record.rollout.model, kind, record.status), 1)
        yield info
