"""The process of a worker: `python -m maas.serving.workers.worker DESCRIPTOR`, started by the supervisor alone.

Signals are the supervisor's: a terminal and a service manager send theirs to all processes of a server at once.
"""

import asyncio
import socket
import sys
from collections.abc import Mapping
from functools import partial

import msgspec
import uvloop

from maas.child_processes import leave_signals_to_parent
from maas.errors import MaasError
from maas.registry.reading.addresses import default_tracking_uri
from maas.serving.locating import Locator
from maas.serving.observers.log_format import set_up_logging
from maas.serving.repository.administration import Administration
from maas.serving.starting import ModelSource
from maas.serving.transports.assembling import AssembledServer, ServerParts, assembled_server
from maas.serving.transports.sockets import Listeners
from maas.serving.workers.connection_counts import ConnectionCounts
from maas.serving.workers.messages import ControlReply, reply_of_fault
from maas.serving.workers.metrics_page import SharedMetricsPage
from maas.serving.workers.records import LOOK, RELOAD, SERVED, WorkerReady, WorkerStart
from maas.serving.workers.registry import ChannelRegistry
from maas.serving.workers.statistics_page import handle_statistics, shared_sources
from maas.serving.workers.worker_channel import WorkerChannel


def main() -> None:
    """Serves until the supervisor closes the channel; a fault at the start is the supervisor's to report."""
    leave_signals_to_parent()
    channel = WorkerChannel(_socket(int(sys.argv[1])))
    message = channel.first_message()
    start = msgspec.msgpack.decode(message.body, type=WorkerStart)
    set_up_logging(start.settings.log_format, start.worker)
    try:
        server = _opened(start, channel)
        uvloop.run(_serve(server, channel, message.number, start.kept))
    except MaasError as error:
        channel.send(reply_of_fault(message.number, error))
        sys.exit(2)


def _opened(start: WorkerStart, channel: WorkerChannel) -> AssembledServer:
    """Returns the server of this worker, its models open."""
    uri = default_tracking_uri()
    parts = ServerParts(
        channel,
        ModelSource(Locator(uri, ChannelRegistry(uri, channel)), start.served, watches=False),
        partial(SharedMetricsPage, peers=channel),
        shared_sources(channel),
        ConnectionCounts.at(start.counts, start.settings.workers, start.worker - 1),
    )
    listeners = Listeners(_socket(start.public), None if start.admin is None else _socket(start.admin))
    server = assembled_server(start.settings, listeners, parts)
    handle_statistics(channel, lambda: server.administration.repository.snapshot)
    _handle_supervisor(channel, server.administration)
    return server


def _handle_supervisor(channel: WorkerChannel, administration: Administration) -> None:
    """Registers what the supervisor wants of all workers."""

    async def served(_: bytes) -> bytes:
        return msgspec.msgpack.encode(administration.served())

    async def look(_: bytes) -> bytes:
        await administration.watcher.look()
        return b""

    async def reload(_: bytes) -> bytes:
        await administration.reload()
        return b""

    channel.handle(SERVED, served)
    channel.handle(LOOK, look)
    channel.handle(RELOAD, reload)


async def _serve(server: AssembledServer, channel: WorkerChannel, number: int, kept: Mapping[str, bytes]) -> None:
    """Serves until the channel is closed, then replies to what was accepted.

    Raises:
        ConfigError: the address for gRPC cannot be listened on.
    """
    stopping = asyncio.Event()
    channel.attach(stopping.set)
    await channel.take_kept(kept)
    ready = WorkerReady(await server.start(), server.administration.served())
    channel.send(ControlReply(number, msgspec.msgpack.encode(ready)))
    await stopping.wait()
    await server.stop()


def _socket(descriptor: int) -> socket.socket:
    """Returns an inherited socket, which processes that this one starts do not inherit."""
    inherited = socket.socket(fileno=descriptor)
    inherited.set_inheritable(False)
    return inherited


if __name__ == "__main__":
    main()
