"""The process: the socket, the event loop, signals, and the lines that show where to look."""

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import uvloop

from maas.errors import ConfigError
from maas.serving.examples import example_call
from maas.serving.observers.chosen import chosen_observers
from maas.serving.observers.log_format import set_up_logging
from maas.serving.observers.metrics import Metrics, MetricsPage
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols.operations import AnyOperation
from maas.serving.protocols.rollouts import rollout_operations
from maas.serving.protocols.v2_repository import administration_operations
from maas.serving.repository import Snapshot
from maas.serving.repository.administration import Administration
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.service import Service
from maas.serving.settings import ServerSettings
from maas.serving.starting import open_models, open_rollouts
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.cors import CorsPolicy
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits
from maas.serving.transports.server import GRACE_S, HttpServer, connections_that_fit

if TYPE_CHECKING:
    from maas.serving.transports.grpc import GrpcServer

ADMIN_BODY_BYTES, ADMIN_CONNECTIONS = 2**16, 64
log = logging.getLogger("maas.serving")


def serve(settings: ServerSettings) -> NoReturn:
    """Serves models until SIGTERM or SIGINT, then finishes what was accepted and exits with status 0.

    Args:
        settings: how.

    Raises:
        BundleError: a bundle cannot be served.
        ConfigError: the address cannot be listened on, or entries of models are wrong.
        RegistryError: the registry lacks a model, or cannot be read.
        SystemExit: always, in the end.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # until the server listens
    set_up_logging(settings.log_format)
    listener = bound_socket(settings.host, settings.port)
    metrics = Metrics()
    administration = open_models(settings, metrics)
    repository = administration.repository
    reader = InputReader(settings.max_queue)
    metrics.watch(repository, lambda: reader.waiting_rows)
    observers = chosen_observers(metrics, os.environ, has_access_log=settings.access_log)
    rollouts = open_rollouts(settings, administration, metrics)
    service = Service(repository, pages=[MetricsPage(metrics)], observers=observers, reader=reader, rollouts=rollouts)
    bodies = BodyBudget(settings.max_body_bytes, settings.max_total_bytes)
    state = ServerState(service, bodies, CorsPolicy(settings.cors_origins.replace(",", " ").split()))
    server = HttpServer(state, ConnectionLimits(), connections_that_fit(settings.max_connections))
    lines = ready_lines(repository.snapshot, settings.host, listener.getsockname()[1])
    grpc, admin = _grpc_server(settings, service, bodies), _admin_server(settings, administration, rollouts)
    if admin is not None:
        lines += f"\nadministration: http://{settings.admin_host}:{admin[1].getsockname()[1]}"
    servers = [(server, listener), *filter(None, [admin])]
    uvloop.run(serve_until_stopped(servers, lines, service, administration.reload_soon, grpc))
    sys.exit(0)


def bound_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound and not yet listening, so that nobody waits at a server that is not ready.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        about_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        hint = "Choose another port, e.g. port=8081, or port=0 for a free one."
        raise ConfigError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            f"{hint if about_port else 'Name an address of this machine, e.g. host=127.0.0.1.'}"
        ) from error
    return listener


def ready_lines(snapshot: Snapshot, host: str, port: int) -> str:
    """Returns what is printed when the server can answer: its URL, the documentation and an example."""
    shown = f"[{host}]" if ":" in host else host
    url, first = f"http://{shown}:{port}", snapshot.first
    route, example = f"{url}/v1/{first.task}", first.bundle.golden.inputs[0]
    models = [f"{one.name} version {one.version}" for one in snapshot.deployments]
    served = f"{models[0]} is" if len(models) == 1 else f"{', '.join(models[:-1])} and {models[-1]} are"
    return (
        f"{served} served at {url} ({first.engine.summary})\n"
        f"documentation: {url}/docs\n"
        f"{example_call(first.processor, route, example)}"
    )


async def serve_until_stopped(
    servers: Sequence[tuple[HttpServer, socket.socket]],
    lines: str,
    service: Service,
    reload: Callable[[], None],
    make_grpc: "Callable[[], GrpcServer] | None" = None,
) -> None:
    """Serves until a signal to stop, then replies to what was accepted.

    A second signal ends it at once. SIGHUP stops nothing: the file of models is read again.

    Args:
        servers: speak HTTP, each at its socket.
        lines: what is printed once it can answer.
        service: answers requests.
        reload: begins to read the file of models again.
        make_grpc: makes the server that speaks gRPC, if there is one.

    Raises:
        ConfigError: the address for gRPC cannot be listened on.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            for server, _ in servers:
                server.abort()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if (hangup := _hangup()) is not None:
        loop.add_signal_handler(hangup, reload)
    service.start()
    grpc = make_grpc() if make_grpc else None
    if grpc is not None:
        lines += f"\ngRPC: {await grpc.start()}"
    gc.freeze()  # what was loaded stays: no collection has to look at it
    for server, listener in servers:
        server.listen(listener)
    print(lines, flush=True)
    await stopping.wait()
    await asyncio.gather(*(server.stop() for server, _ in servers), *([grpc.stop(GRACE_S)] if grpc else []))
    await service.close()


def _admin_server(
    settings: ServerSettings, administration: Administration, rollouts: Rollouts
) -> tuple[HttpServer, socket.socket] | None:
    """Returns the server of administrators and its socket, where one is wanted."""
    if settings.admin_port is None:
        return None
    offered = [*administration_operations(administration), *rollout_operations(rollouts, administration.repository)]
    operations = partial(_without_models, offered)
    service = Service(administration.repository, operations=operations)
    state = ServerState(service, BodyBudget(ADMIN_BODY_BYTES, ADMIN_BODY_BYTES))
    listener = bound_socket(settings.admin_host, settings.admin_port)
    return HttpServer(state, ConnectionLimits(), ADMIN_CONNECTIONS), listener


def _without_models(operations: Sequence[AnyOperation], snapshot: Snapshot) -> Sequence[AnyOperation]:  # noqa: ARG001
    """Returns operations that are the same whatever is served."""
    return operations


def _grpc_server(settings: ServerSettings, service: Service, bodies: BodyBudget) -> "Callable[[], GrpcServer] | None":
    """Returns what makes the server that speaks gRPC, where one is wanted."""
    if settings.grpc_port is None:
        return None
    try:
        from maas.serving.transports.grpc import GrpcServer  # noqa: PLC0415  it is not part of the light install
    except ImportError as error:
        raise ConfigError(
            f"grpc_port needs a package that is not installed ({error}): pip install 'maas[grpc]'."
        ) from error
    return partial(GrpcServer, service, settings.host, settings.grpc_port, bodies)


def _hangup() -> signal.Signals | None:
    """Returns SIGHUP, where there is one and it was not ignored before, as `nohup` does."""
    found = signal.Signals.__members__.get("SIGHUP")  # Windows has none
    return None if found is None or signal.getsignal(found) == signal.SIG_IGN else found


def _exit(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    sys.exit(0)
