"""What makes several processes one server, in this process: figures, connections, the registry, administration."""

import asyncio
import socket
from concurrent.futures import Future

import msgspec
import pytest

from maas.errors import AbsentError, InputError, RegistryError
from maas.registry.reading.questions import Question, RegistryReply, VersionQuestion
from maas.serving.entries import ModelEntry
from maas.serving.faults import UnknownModelError
from maas.serving.observers.metrics import Metrics
from maas.serving.peers import PeerReply, require_all
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.open_inference.extensions import statistics_of
from maas.serving.repository import Repository
from maas.serving.repository.administration import IndexedVersion
from maas.serving.served_models import ServedModels, ServedSlot
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits
from maas.serving.transports.server import HttpServer
from maas.serving.workers.administration import merged_index
from maas.serving.workers.connection_counts import ConnectionCounts, shared_memory
from maas.serving.workers.figures import KeptFigures, MetricRecord, SampleRecord, merged_metrics
from maas.serving.workers.messages import ControlReply
from maas.serving.workers.metrics_page import recorded_metrics
from maas.serving.workers.records import BroadcastReply
from maas.serving.workers.registry import ChannelRegistry, RegistryReplies
from maas.serving.workers.statistics_page import Duration, StatisticsReply, merged_statistics


def counted(requests: int, swaps: int) -> list[MetricRecord]:
    metrics = Metrics()
    for _ in range(requests):
        metrics.observe_rows("digits", "1", 4)
    for _ in range(swaps):
        metrics.observe_swap("digits", "swapped")
    return recorded_metrics(metrics.registry.collect())


def value(metrics: list[MetricRecord], name: str, **labels: str) -> float:
    found = [one.value for metric in metrics for one in metric.samples if one.name == name and one.labels == labels]
    assert len(found) == 1
    return found[0]


def gauge(name: str, number: float) -> list[MetricRecord]:
    return [MetricRecord(name, "…", "gauge", (SampleRecord(name, {}, number),))]


def test_counters_and_histograms_are_added_up_when_metrics_are_merged():
    merged = merged_metrics([counted(3, 1), counted(2, 1), counted(0, 0)])
    labels = {"model": "digits", "version": "1"}
    assert value(merged, "maas_batch_rows_count", **labels) == 5
    assert value(merged, "maas_batch_rows_sum", **labels) == 20
    assert value(merged, "maas_batch_rows_bucket", **labels, le="4.0") == 5
    assert value(merged, "maas_batch_rows_bucket", **labels, le="2.0") == 0


def test_swap_counts_once_when_all_processes_made_it():
    merged = merged_metrics([counted(0, 2), counted(0, 2), counted(0, 1)])
    assert value(merged, "maas_swaps_total", model="digits", result="swapped") == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("maas_queue_rows", 5.0), ("process_start_time_seconds", 2.0), ("maas_model_info", 3.0)],
)
def test_gauge_is_merged_as_it_is_meant(name, expected):
    assert value(merged_metrics([gauge(name, 2), gauge(name, 3)]), name) == expected


def test_counters_do_not_fall_when_a_process_has_ended():
    kept = KeptFigures()
    labels = {"model": "digits", "version": "1"}

    def shown(*replies: BroadcastReply) -> list[MetricRecord]:
        bodies = [reply.body for reply in kept.completed(replies)]
        return merged_metrics(msgspec.msgpack.decode(body, type=list[MetricRecord]) for body in bodies)

    def reply(worker: int, requests: int) -> BroadcastReply:
        figures = [*counted(requests, 0), *gauge("maas_queue_rows", 1)]
        return BroadcastReply(worker, msgspec.msgpack.encode(figures))

    assert value(shown(reply(1, 3), reply(2, 4)), "maas_batch_rows_count", **labels) == 7
    assert value(shown(reply(1, 5)), "maas_batch_rows_count", **labels) == 9  # the second one is late
    kept.retire(2)
    after = shown(reply(1, 5), reply(2, 1))
    assert value(after, "maas_batch_rows_count", **labels) == 10
    assert value(after, "maas_queue_rows") == 2


def test_connections_are_shared_out_evenly_when_two_servers_have_one_socket(array_folder):
    repository = Repository()
    repository.open(array_folder)
    memory = shared_memory(2)

    async def scenario() -> list[int]:
        listener = socket.create_server(("127.0.0.1", 0))
        servers = []
        for own in range(2):
            state = ServerState(Service(repository), BodyBudget(2**20, 2**21))
            counts = ConnectionCounts.at(memory, 2, own)
            servers.append(HttpServer(state, ConnectionLimits(), 100, counts))
            servers[-1].listen(listener.dup())
        opened = [await asyncio.open_connection(*listener.getsockname()) for _ in range(10)]
        for reader, writer in opened:
            writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        found = [len(server._connections) for server in servers]
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(server.stop() for server in servers))
        listener.close()
        await repository.close()
        return found

    assert sorted(asyncio.run(scenario())) in ([4, 6], [5, 5])


def test_worker_is_not_ahead_of_one_that_is_absent():
    memory = shared_memory(3)
    first, third = ConnectionCounts.at(memory, 3, 0), ConnectionCounts.at(memory, 3, 2)
    first.note(1)
    assert not first.is_ahead
    third.note(0)
    assert first.is_ahead
    assert not third.is_ahead
    first.leave(2)
    assert not first.is_ahead


class OneRegistry(RegistryReplies):
    """Replies from memory, and counts its readings."""

    def __init__(self, version: str) -> None:
        super().__init__("sqlite:///none.db")
        self.version, self.readings = version, 0
        self._process.reply_to = self._replied

    def _replied(self, question: Question) -> RegistryReply:
        assert isinstance(question, VersionQuestion)
        self.readings += 1
        if question.alias == "broken":
            raise RegistryError("the registry is away")
        return RegistryReply(version=self.version)


class DirectChannel:
    """Hands messages to a registry in this process."""

    def __init__(self, registry: RegistryReplies, loop: asyncio.AbstractEventLoop) -> None:
        self._registry, self._loop = registry, loop

    def request(self, kind: str, body: bytes) -> "Future[ControlReply]":
        assert kind == "registry"
        replied = asyncio.run_coroutine_threadsafe(self._registry.reply_to(body), self._loop)
        future: Future[ControlReply] = Future()
        replied.add_done_callback(lambda done: future.set_result(ControlReply(1, done.result())))
        return future


def test_registry_is_read_once_for_all_workers_until_the_next_change():
    async def scenario() -> None:
        registry = OneRegistry("3")
        channel = DirectChannel(registry, asyncio.get_running_loop())
        workers = [ChannelRegistry("sqlite:///none.db", channel) for _ in range(3)]

        async def versions(alias: str = "champion") -> list[str]:
            return await asyncio.gather(*(asyncio.to_thread(one.version_at, "digits", alias) for one in workers))

        assert await versions() == ["3"] * 3
        registry.version = "4"
        assert await versions() == ["3"] * 3
        assert registry.readings == 1
        registry.forget()
        assert await versions() == ["4"] * 3
        registry.forget()
        entry = ModelEntry(model="models:/digits@champion")
        await registry.look_up(ServedModels((ServedSlot(entry, "folder", "other", "4"),)))
        before = registry.readings
        assert await versions() == ["4"] * 3
        assert registry.readings == before  # it had been read before the workers looked
        with pytest.raises(RegistryError, match="the registry is away") as caught:
            await versions("broken")
        assert not isinstance(caught.value, AbsentError)

    asyncio.run(scenario())


def test_administrator_hears_how_many_processes_failed_when_not_all_did():
    done, failed = PeerReply(1), PeerReply(2, error=InputError("Model 'a' cannot be loaded: no file."))
    require_all([done, done])
    with pytest.raises(InputError, match=r"^1 of 2 processes failed, and the others did it: Model 'a' cannot be"):
        require_all([done, failed])
    with pytest.raises(UnknownModelError, match=r"^No model 'z'$"):
        require_all([PeerReply(number, error=UnknownModelError("No model 'z'")) for number in (1, 2)])


def test_version_is_not_ready_when_it_is_not_so_in_all_processes():
    a, b = IndexedVersion("a", "1", "READY"), IndexedVersion("b", "1", "READY")
    gone = IndexedVersion("b", "1", "UNAVAILABLE", "unloaded")
    assert merged_index([[a, b], [a, b]]) == [a, b]
    assert merged_index([[a, gone], [a, gone]]) == [a, gone]
    partly = IndexedVersion("b", "1", "UNAVAILABLE", "ready in 1 of 2 processes")
    assert merged_index([[a, b], [a, gone]]) == [a, partly]
    assert merged_index([[a], [a, b]]) == [a, partly]


def test_statistics_are_added_up_by_version_and_batch(array_folder, table_folder):
    def statistics(*rows: int) -> StatisticsReply:
        repository = Repository()
        deployments = [repository.open(array_folder), repository.open(table_folder)]
        for count in rows:
            deployments[0].statistics.timed(len)([{}] * count)
            deployments[0].statistics.count_request(is_answered=True, seconds=0.5)
        encoded = encode(statistics_of(None, None, repository.snapshot))
        asyncio.run(repository.close())
        return msgspec.json.decode(encoded, type=StatisticsReply)

    digits, sums = merged_statistics([statistics(1, 4, 4), statistics(4, 2), statistics()]).model_stats
    assert (digits.name, digits.inference_count, digits.execution_count) == ("digits", 15, 5)
    assert {one.batch_size: one.compute_infer.count for one in digits.batch_stats} == {1: 1, 2: 1, 4: 3}
    assert digits.inference_stats["success"] == Duration(5, 2_500_000_000)
    assert (sums.name, sums.inference_count, sums.last_inference) == ("sums", 0, 0)
