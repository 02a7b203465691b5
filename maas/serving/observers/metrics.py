"""What a server counts and measures; Prometheus' library is imported when the page of metrics is first read."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from maas.serving import later
from maas.serving.observers import Outcome
from maas.serving.observers.request_figures import EventFigures, RequestFigures, RunFigures
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Action, Reply, Request
from maas.serving.repository import Repository, Snapshot

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from maas.serving.rollout.records import RolloutRecord

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Metrics:
    """Counts requests, times them, and watches batches, queues and roll-outs."""

    def __init__(self) -> None:
        self.requests = RequestFigures(_SECONDS)
        self.runs = RunFigures(_ROWS)
        self.swaps, self.copies, self.returns = EventFigures(), EventFigures(), EventFigures()
        self.repository: Repository | None = None
        self.reading_rows: Callable[[], int] = lambda: 0
        self.rollouts: Callable[[], Mapping[str, RolloutRecord]] = dict

    def observe(self, outcome: Outcome) -> None:
        """Counts one request and its time."""
        labels = (outcome.route, outcome.protocol, outcome.model, outcome.version)
        self.requests.add(labels, outcome.status, outcome.seconds)

    def observe_rows(self, model: str, version: str, rows: int) -> None:
        """Counts one run of a version of a model and its rows."""
        self.runs.add(model, version, rows)

    def observe_swap(self, model: str, result: str) -> None:
        """Counts a version that an alias moved to, or a look that found none."""
        self.swaps.add(model, result)

    def observe_shadow(self, model: str, result: str) -> None:
        """Counts a copy of a request for a candidate."""
        self.copies.add(model, result)

    def observe_return(self, model: str, rollout: str) -> None:
        """Counts a candidate that exceeded a bound."""
        self.returns.add(model, rollout)

    def watch(self, repository: Repository, reading_rows: Callable[[], int] = lambda: 0) -> None:
        """Shows the models of a repository and their queues, as they are when metrics are read.

        Args:
            repository: the models.
            reading_rows: returns the number of rows that wait to be read.
        """
        self.repository, self.reading_rows = repository, reading_rows
        for deployment in repository.snapshot.deployments:
            self.runs.watch(deployment.name, deployment.version)

    @cached_property
    def registry(self) -> "CollectorRegistry":
        """All metrics as Prometheus' library has them."""
        return later.prometheus_registry(self)

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return later.generate_latest(self.registry)


class MetricsPage(Action):
    """The metrics as a page.

    Args:
        metrics: what is shown.
    """

    method = "GET"
    path = "/metrics"
    summary = "Counters and histograms for Prometheus."

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def perform(self, request: Request) -> Reply:
        """Returns all metrics; the first time a thread imports what they take, as requests must not wait for that."""
        await asyncio.to_thread(getattr, self._metrics, "registry")
        return Reply(self._metrics.render(), MEDIA_TYPE)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns one line as an example."""
        labels = 'route="/predict",protocol="rest",model="digits",version="1",status="200"'
        example = f"maas_requests_total{{{labels}}} 1.0"
        return OperationDocument(Content({"type": "string"}, example, MEDIA_TYPE.decode().partition(";")[0]))
