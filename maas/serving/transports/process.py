"""The process: the socket, uvicorn, signals, and the lines that show where to look."""

import errno
import logging
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

from maas.errors import ConfigError
from maas.serving.examples import example_call
from maas.serving.observers import Observer
from maas.serving.observers.access_log import AccessLog
from maas.serving.observers.metrics import Metrics, MetricsPage
from maas.serving.preprocessing.reader import InputReader
from maas.serving.repository import Snapshot
from maas.serving.settings import ServerSettings
from maas.serving.starting import open_models
from maas.serving.transports.http import HttpApp

BACKLOG = 2048
KEEP_ALIVE_S = 75  # longer than the 60 s after which most load balancers drop an idle connection
GRACE_S = 30  # accepted requests may take this long once the server is to stop


def serve(settings: ServerSettings) -> NoReturn:
    """Serves models until SIGTERM, SIGINT or SIGHUP, then finishes what was accepted and exits with status 0.

    SIGHUP is no signal to stop where it was ignored when the process began, as under `nohup`.

    Args:
        settings: how.

    Raises:
        BundleError: a bundle cannot be served.
        ConfigError: the address cannot be listened on, or entries of models are wrong.
        RegistryError: the registry lacks a model, or cannot be read.
        SystemExit: always, in the end.
    """
    for number in _stopping_signals():
        signal.signal(number, _exit)  # uvicorn puts its own in place, and calls these when it is done
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    listener = bound_socket(settings.host, settings.port)
    metrics = Metrics()
    repository = open_models(settings, metrics)
    reader = InputReader(settings.max_queue)
    metrics.watch(repository, lambda: reader.waiting_rows)
    observers: list[Observer] = [metrics, AccessLog()] if settings.access_log else [metrics]
    app = HttpApp(
        repository,
        pages=[MetricsPage(metrics)],
        observers=observers,
        max_body_bytes=settings.max_body_bytes,
        max_total_bytes=settings.max_total_bytes,
        reader=reader,
    )
    _Server(app, ready_lines(repository.snapshot, settings.host, listener.getsockname()[1])).run(sockets=[listener])
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


class _Server(uvicorn.Server):
    """Uvicorn, set up for short requests; prints some lines once it listens."""

    def __init__(self, app: HttpApp, lines: str) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            interface="asgi3",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        self._lines = lines

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, and prints where."""
        for number in _stopping_signals():  # uvicorn's own list lacks SIGHUP
            signal.signal(number, self.handle_exit)
        await super().startup(sockets)
        print(self._lines, flush=True)


def _stopping_signals() -> list[signal.Signals]:
    names = ("SIGTERM", "SIGINT", "SIGHUP")  # Windows has no SIGHUP
    known = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [number for number in known if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


def _exit(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    sys.exit(0)
