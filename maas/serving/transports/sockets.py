"""Sockets that a server listens on. Nothing here accepts connections."""

import errno
import socket
from typing import NamedTuple

from maas.errors import ConfigError
from maas.serving.settings import ServerSettings


class Listeners(NamedTuple):
    """Sockets that are bound and not yet listening, so that nobody waits at a server that is not ready.

    Args:
        public: where clients send requests.
        admin: where administrators do; null for none.
    """

    public: socket.socket
    admin: socket.socket | None = None


def bound_listeners(settings: ServerSettings) -> Listeners:
    """Returns the sockets that settings want.

    Raises:
        ConfigError: a port is in use, or an address is not this machine's.
    """
    public = bound_socket(settings.host, settings.port)
    if settings.admin_port is None:
        return Listeners(public)
    return Listeners(public, bound_socket(settings.admin_host, settings.admin_port))


def bound_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound and not yet listening.

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


def shared_port(host: str, port: int | None) -> socket.socket | None:
    """Returns a socket that keeps a port on which several processes are to listen with sockets of their own.

    Args:
        host: the address.
        port: 0 picks a free one; null for none.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    if port is None:
        return None
    with bound_socket(host, port) as alone:  # SO_REUSEPORT would share it with a server that was started before
        found = alone.getsockname()[1]
    keeper = socket.socket(alone.family)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind((host, found))
    return keeper
