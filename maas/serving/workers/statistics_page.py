"""Triton's statistics of models, added up over all workers, at any of them.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from maas.serving.peers import Peers, require_all
from maas.serving.protocols import sources_of
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.open_inference.extensions import StatisticsPage, statistics_of
from maas.serving.protocols.operation_documents import OperationDocument
from maas.serving.protocols.operations import Action, AnyOperation, Reply, Request
from maas.serving.repository import Snapshot
from maas.serving.routing import OperationSource
from maas.serving.workers.records import STATISTICS


class Duration(msgspec.Struct, frozen=True):
    """How often something happened, and how long it took in all, in nanoseconds."""

    count: int = 0
    ns: int = 0

    def __add__(self, other: "Duration") -> "Duration":
        return Duration(self.count + other.count, self.ns + other.ns)


class RunStatistics(msgspec.Struct, frozen=True):
    """Runs of one number of rows."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration

    def __add__(self, other: "RunStatistics") -> "RunStatistics":
        return RunStatistics(
            self.batch_size,
            self.compute_input + other.compute_input,
            self.compute_infer + other.compute_infer,
            self.compute_output + other.compute_output,
        )


class VersionStatistics(msgspec.Struct, frozen=True):
    """What happened to one version of a model."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: dict[str, Duration]
    batch_stats: list[RunStatistics]

    def __add__(self, other: "VersionStatistics") -> "VersionStatistics":
        batches = {one.batch_size: one for one in self.batch_stats}
        for one in other.batch_stats:
            batches[one.batch_size] = batches[one.batch_size] + one if one.batch_size in batches else one
        return VersionStatistics(
            self.name,
            self.version,
            max(self.last_inference, other.last_inference),
            self.inference_count + other.inference_count,
            self.execution_count + other.execution_count,
            {kind: found + other.inference_stats[kind] for kind, found in self.inference_stats.items()},
            [batches[size] for size in sorted(batches)],
        )


class StatisticsReply(msgspec.Struct, frozen=True):
    """The statistics of versions, as a reply has them."""

    model_stats: list[VersionStatistics]


class SharedStatisticsPage(Action):
    """The statistics of all workers.

    Args:
        page: gives those of one.
        peers: the workers.
    """

    method = "GET"
    protocol = StatisticsPage.protocol
    summary = StatisticsPage.summary

    def __init__(self, page: StatisticsPage, peers: Peers) -> None:
        self.path, self._page, self._peers = page.path, page, peers

    async def perform(self, request: Request) -> Reply:
        """Returns the statistics of what the path names.

        Raises:
            UnknownModelError: no such model or version is served.
        """
        replies = await self._peers.broadcast(STATISTICS, encode(dict(request.values)), is_change=False)
        bodies = [reply.body for reply in replies if reply.error is None]
        if not bodies:
            require_all(replies)
        return Reply(encode(merged_statistics(msgspec.json.decode(body, type=StatisticsReply) for body in bodies)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those of the first model as an example."""
        return self._page.document(snapshot)


def merged_statistics(replies: Iterable[StatisticsReply]) -> StatisticsReply:
    """Returns the statistics of several processes as those of one."""
    found: dict[tuple[str, str], VersionStatistics] = {}
    for one in (one for reply in replies for one in reply.model_stats):
        place = (one.name, one.version)
        found[place] = found[place] + one if place in found else one
    return StatisticsReply(list(found.values()))


def shared_sources(peers: Peers) -> Callable[[Snapshot], Sequence[OperationSource]]:
    """Returns where the operations of a worker come from: all protocols, with statistics of all workers."""

    def shared(source: OperationSource) -> Sequence[AnyOperation]:
        return [SharedStatisticsPage(one, peers) if isinstance(one, StatisticsPage) else one for one in source.make()]

    def sources(snapshot: Snapshot) -> Sequence[OperationSource]:
        return [OperationSource(one.paths, partial(shared, one)) for one in sources_of(snapshot)]

    return sources


def handle_statistics(peers: Peers, snapshot: Callable[[], Snapshot]) -> None:
    """Lets this worker give its own statistics.

    Args:
        peers: the workers.
        snapshot: returns what this one serves.
    """

    async def own(values: bytes) -> bytes:
        wanted = msgspec.json.decode(values, type=dict[str, str])
        return encode(statistics_of(wanted.get("name"), wanted.get("version"), snapshot()))

    peers.handle(STATISTICS, own)
