"""What both clients share: settings, and what errors of the HTTP library mean."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import msgspec

from maas.client.exchanges import Incoming, NoReplyError, Outgoing
from maas.errors import ConfigError, DeadlineError, one_line

MAX_IDLE_S = 60.0
"""Shorter than the 75 seconds after which the server closes a connection that nobody uses."""
MAX_CONNECTIONS = 100


class ConnectionSettings(msgspec.Struct, frozen=True):
    """How a server is reached.

    Args:
        url: of the server, a path prefix included, without the slash at its end.
        headers: sent with each request, e.g. `authorization`.
        verify: whether its certificate is checked, or a context that checks it.
    """

    url: str
    headers: Mapping[str, str]
    verify: ssl.SSLContext | bool

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str] | None, verify: ssl.SSLContext | bool) -> "ConnectionSettings":
        """Checks and returns settings.

        Raises:
            ConfigError: the URL is none of HTTP.
        """
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise ConfigError(f"url is {url!r}, which cannot be read: {error}.") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError(f"url is {url!r}; it begins with http:// or https://. Write e.g. http://127.0.0.1:8080.")
        return cls(str(parsed.copy_with(query=None, fragment=None)).rstrip("/"), headers or {}, verify)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of an HTTP client."""
        limits = httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=MAX_IDLE_S)
        return {"headers": dict(self.headers), "verify": self.verify, "limits": limits}

    def arguments(self, request: Outgoing) -> dict[str, Any]:
        """Returns the arguments of one request.

        Raises:
            DeadlineError: its deadline has passed.
        """
        return {
            "method": request.method,
            "url": f"{self.url}{request.path}",
            "content": request.body or None,
            "headers": {"content-type": request.media_type, **request.headers} if request.body else {},
            "timeout": request.remaining_s,
        }

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Raises errors of the HTTP library as errors of maas.

        Raises:
            DeadlineError: no reply came in time.
            NoReplyError: no whole reply came.
        """
        try:
            yield
        except (httpx2.TimeoutException, TimeoutError):
            raise DeadlineError(f"{self.url} gave no reply in time. Allow more with timeout_s=….") from None
        except httpx2.TransportError as error:
            reason = one_line(error)
            is_transient = not any(isinstance(one, ssl.SSLError | socket.gaierror) for one in _causes(error))
            what = "cannot be reached" if isinstance(error, httpx2.ConnectError) else "closed the connection early"
            raise NoReplyError(f"{self.url} {what}: {reason}.", is_transient=is_transient) from None


def incoming(response: "httpx2.Response", body: bytes) -> Incoming:
    """Returns a reply whose body was read."""
    return Incoming(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
