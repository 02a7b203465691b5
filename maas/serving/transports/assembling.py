"""From settings to a server: models are opened, observers and transports joined. It watches no signals."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from maas.errors import ConfigError
from maas.serving import later
from maas.serving.examples import completion_call, example_call
from maas.serving.observers.chosen import chosen_observers
from maas.serving.observers.metrics import Metrics, MetricsPage
from maas.serving.peers import Alone, Peers
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols import sources_of
from maas.serving.protocols.operations import Action, AnyOperation, Page
from maas.serving.repository import Repository, Snapshot
from maas.serving.repository.administration import Administration
from maas.serving.routing import OperationSource
from maas.serving.service import Service
from maas.serving.settings import ServerSettings
from maas.serving.starting import ModelSource, open_models
from maas.serving.stopping import GRACE_S, LEAST_CLOSING_S, STUCK_S, end_within
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.cors import CorsPolicy
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits
from maas.serving.transports.server import HttpServer, connections_that_fit
from maas.serving.transports.sockets import Listeners
from maas.serving.workers.administration import SharedAdministration
from maas.serving.workers.connection_counts import ConnectionCounts

if TYPE_CHECKING:
    from maas.serving.rollout.rollouts import Rollouts
    from maas.serving.transports.grpc import GrpcServer

ADMIN_BODY_BYTES, ADMIN_CONNECTIONS = 2**16, 64


@dataclass
class AssembledServer:
    """A server whose models are open.

    Args:
        servers: speak HTTP, each at its socket.
        service: answers requests.
        administration: changes what this process serves.
        lines: what is printed once it can answer.
        make_grpc: makes the server that speaks gRPC; null for none.
    """

    servers: Sequence[tuple[HttpServer, socket.socket]]
    service: Service
    administration: Administration
    lines: str
    make_grpc: "Callable[[], GrpcServer] | None" = None
    _grpc: "GrpcServer | None" = None

    async def start(self) -> str:
        """Listens, and returns the lines that say where.

        Raises:
            ConfigError: the address for gRPC cannot be listened on.
        """
        self.service.start()
        lines = self.lines
        if self.make_grpc is not None:
            self._grpc = self.make_grpc()
            lines += f"\ngRPC: {await self._grpc.start()}"
        gc.freeze()  # what was loaded stays: no collection has to look at it
        for server, listener in self.servers:
            server.listen(listener)
        return lines

    async def stop(self) -> None:
        """Replies to what was accepted and ends; what takes longer than `GRACE_S` in all is given up."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + GRACE_S
        end_within(GRACE_S + LEAST_CLOSING_S + STUCK_S)
        grpc = [self._grpc.stop(GRACE_S)] if self._grpc else []
        await asyncio.gather(*(server.stop() for server, _ in self.servers), *grpc)
        await self.service.close(max(LEAST_CLOSING_S, end_s - loop.time()))

    def abort(self) -> None:
        """Ends all connections at once."""
        for server, _ in self.servers:
            server.abort()


@dataclass(frozen=True)
class ServerParts:
    """What one of several processes has in another form than a server of one.

    Args:
        peers: the processes that serve the same models.
        source: where models come from.
        metrics_page: makes the page of metrics.
        sources: returns where operations for clients come from, for the models of a snapshot.
        counts: connections of the processes that share the socket; null where it is this one's alone.
    """

    peers: Peers = field(default_factory=Alone)
    source: ModelSource = field(default_factory=ModelSource)
    metrics_page: Callable[[Metrics], Page | Action] = MetricsPage
    sources: Callable[[Snapshot], Sequence[OperationSource]] = sources_of
    counts: ConnectionCounts | None = None


def assembled_server(settings: ServerSettings, listeners: Listeners, parts: ServerParts) -> AssembledServer:
    """Opens models and joins what serves them.

    Args:
        settings: how.
        listeners: bound sockets.
        parts: what depends on the number of processes.

    Raises:
        BundleError: a bundle cannot be served.
        ConfigError: entries of models are wrong, or something is wanted that is not installed.
        RegistryError: the registry lacks a model, or cannot be read.
    """
    metrics = Metrics()
    administration = open_models(settings, metrics, parts.source)
    repository = administration.repository
    rollouts = _rollouts(settings, administration, metrics, parts)
    service = _service(settings, repository, rollouts, metrics, parts)
    bodies = BodyBudget(settings.max_body_bytes, settings.max_total_bytes)
    state = ServerState(service, bodies, CorsPolicy(settings.cors_origins.replace(",", " ").split()))
    server = HttpServer(state, ConnectionLimits(), connections_that_fit(settings.max_connections), parts.counts)
    servers, lines = [(server, listeners.public)], ready_lines(repository.snapshot, settings, listeners)
    if listeners.admin is not None and rollouts is not None:
        shared = SharedAdministration(administration, parts.peers)
        offered = [*later.administration_operations(shared), *later.rollout_operations(rollouts, repository)]
        servers.append((_admin_server(offered, repository), listeners.admin))
    return AssembledServer(servers, service, administration, lines, _grpc_maker(settings, service, bodies))


def _rollouts(
    settings: ServerSettings, administration: Administration, metrics: Metrics, parts: ServerParts
) -> "Rollouts | None":
    """Returns the roll-outs; None where nothing can bring one: no file, folder, administrator or other process."""
    is_alone = isinstance(parts.peers, Alone) and settings.admin_port is None
    if is_alone and settings.models is None and settings.state is None:
        return None
    rollouts = later.open_rollouts(settings, administration, metrics, parts.peers, parts.source.served)
    metrics.rollouts = lambda: rollouts.state.rollouts
    return rollouts


def _service(
    settings: ServerSettings, repository: Repository, rollouts: "Rollouts | None", metrics: Metrics, parts: ServerParts
) -> Service:
    """Returns what answers clients' requests."""
    reader = InputReader(settings.max_queue)
    metrics.watch(repository, lambda: reader.waiting_rows)
    return Service(
        repository,
        pages=[parts.metrics_page(metrics)],
        observers=chosen_observers(metrics, os.environ, has_access_log=settings.access_log),
        reader=reader,
        sources=parts.sources,
        rollouts=rollouts,
    )


def ready_lines(snapshot: Snapshot, settings: ServerSettings, listeners: Listeners) -> str:
    """Returns what is printed when the server can answer: its URL, the documentation, an example, administration."""
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{shown}:{listeners.public.getsockname()[1]}"
    models = [f"{one.name} version {one.version}" for one in snapshot.deployments]
    served = f"{models[0]} is" if len(models) == 1 else f"{', '.join(models[:-1])} and {models[-1]} are"
    lines = [
        f"{served} served at {url} ({snapshot.deployments[0].engine.summary})",
        *_documents_and_example(snapshot, url),
    ]
    if listeners.admin is not None:
        lines.append(f"administration: http://{settings.admin_host}:{listeners.admin.getsockname()[1]}")
    return "\n".join(lines)


def _documents_and_example(snapshot: Snapshot, url: str) -> list[str]:
    """Returns where the documentation is, and a command that works."""
    if not snapshot.predicting:
        return [f"documentation: {url}/openapi.json", completion_call(url)]
    first = snapshot.first
    example = example_call(first.processor, f"{url}/v1/{first.task}", first.bundle.golden.inputs[0])
    return [f"documentation: {url}/docs", example]


def _admin_server(operations: Sequence[AnyOperation], repository: Repository) -> HttpServer:
    """Returns the server of administrators."""
    source = OperationSource(("*",), lambda: operations)
    service = Service(repository, sources=lambda _: [source])
    return HttpServer(
        ServerState(service, BodyBudget(ADMIN_BODY_BYTES, ADMIN_BODY_BYTES)), ConnectionLimits(), ADMIN_CONNECTIONS
    )


def _grpc_maker(settings: ServerSettings, service: Service, bodies: BodyBudget) -> "Callable[[], GrpcServer] | None":
    """Returns what makes the server that speaks gRPC, where one is wanted."""
    if settings.grpc_port is None:
        return None
    try:
        from maas.serving.transports.grpc import GrpcServer  # noqa: PLC0415  it is not part of the light install
    except ImportError as error:
        raise ConfigError(
            f"grpc_port needs a package that is not installed ({error}): pip install 'maas[grpc]'."
        ) from error
    return partial(GrpcServer, service, settings.host, settings.grpc_port, bodies, is_shared=settings.workers > 1)
