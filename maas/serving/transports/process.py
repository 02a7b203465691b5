"""A server of one process: its event loop, signals, and the lines that show where to look."""

import asyncio
import signal
import sys
from typing import NoReturn

import uvloop

from maas.errors import MaasError
from maas.serving.observers.log_format import set_up_logging
from maas.serving.settings import ServerSettings
from maas.serving.stopping import handle_hangup
from maas.serving.transports.assembling import AssembledServer, ServerParts, assembled_server
from maas.serving.transports.sockets import bound_listeners


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
    set_up_logging(settings.log_format)
    listeners = bound_listeners(settings)
    try:
        server = assembled_server(settings, listeners, ServerParts())
    except MaasError:
        for listener in filter(None, listeners):
            listener.close()
        raise
    uvloop.run(serve_until_stopped(server))
    sys.exit(0)


async def serve_until_stopped(server: AssembledServer) -> None:
    """Serves until a signal to stop, then replies to what was accepted.

    A second signal ends it at once. SIGHUP stops nothing: the file of models is read again.

    Args:
        server: whose models are open.

    Raises:
        ConfigError: the address for gRPC cannot be listened on.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            server.abort()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    lines = await server.start()
    handle_hangup(server.administration.reload_soon)
    print(lines, flush=True)
    await stopping.wait()
    await server.stop()
