"""Requests to a tracking server, by the standard library alone."""

import base64
import http.client
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

import msgspec

from maas.errors import AbsentError, RegistryError, one_line
from maas.registry.reading.addresses import ABSENT

SILENCE_S = 15.0
"""Seconds that a server may be silent."""
_T = TypeVar("_T")


class _Fault(msgspec.Struct):
    error_code: str = ""
    message: str = ""


class _NoRedirects(HTTPRedirectHandler):
    """Follows nothing: a redirected request would carry the credentials to another place."""

    def redirect_request(self, *arguments: object, **named: object) -> None:
        """Returns nothing, so that the redirection is an error."""


class TrackingServer:
    """A tracking server.

    Args:
        tracking_uri: `http://…` or `https://…`, which may hold a user's name and password.
        environment: variables that MLflow's own client reads.
    """

    def __init__(self, tracking_uri: str, environment: Mapping[str, str]) -> None:
        parts = urlsplit(tracking_uri)
        self.root = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
        user = environment.get("MLFLOW_TRACKING_USERNAME") or unquote(parts.username or "")
        password = environment.get("MLFLOW_TRACKING_PASSWORD") or unquote(parts.password or "")
        token = environment.get("MLFLOW_TRACKING_TOKEN", "")
        self._headers: dict[str, str] = {}
        if user:
            self._headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        elif token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = _opener(environment)

    def read(self, path: str, query: Mapping[str, str], kind: type[_T]) -> _T:
        """Returns the reply to a question of MLflow's interface.

        Args:
            path: below `/api/2.0/mlflow/`.
            query: parameters.
            kind: of the reply.

        Raises:
            AbsentError: the server answers that it is not there.
            RegistryError: the server does not answer as MLflow does.
        """
        return self.read_json(f"{self.root}/api/2.0/mlflow/{quote(path)}?{urlencode(query)}", kind)

    def read_json(self, address: str, kind: type[_T]) -> _T:
        """Returns the JSON at an address of the server.

        Raises:
            AbsentError: the server answers that it is not there.
            RegistryError: the server does not answer as MLflow does.
        """
        with self.opened(address) as reply:
            try:
                return msgspec.json.decode(reply.read(), type=kind)
            except msgspec.DecodeError as error:
                raise RegistryError(f"{self.root} does not answer as MLflow does: {one_line(error)}.") from error

    @contextmanager
    def opened(self, address: str) -> Iterator[IO[bytes]]:
        """Opens an address of the server for reading.

        Raises:
            AbsentError: the server answers that it is not there.
            RegistryError: the server cannot be reached, or refuses.
        """
        try:
            with self._opener.open(self._request(address), timeout=SILENCE_S) as reply:
                yield reply
        except HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (URLError, OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            raise RegistryError(f"The registry {self.root} cannot be reached: {one_line(_error(cause))}.") from None

    def _request(self, address: str) -> Request:
        """Returns a request, with credentials where it stays at the tracking server."""
        is_own = address.startswith(f"{self.root}/")
        return Request(address, headers=self._headers if is_own else {})  # noqa: S310  the scheme was looked at

    def _refused(self, error: HTTPError) -> RegistryError:
        """Returns what an error of the server says."""
        try:
            fault = msgspec.json.decode(error.read(), type=_Fault)
        except (msgspec.DecodeError, OSError, http.client.HTTPException):
            fault = _Fault()
        if fault.error_code in ABSENT:
            return AbsentError(f"{one_line(RegistryError(fault.message))}.")
        if error.code in (401, 403):
            return RegistryError(
                f"The registry {self.root} refuses ({error.code}). Set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            )
        shown = one_line(RegistryError(fault.message or error.reason))
        return RegistryError(f"The registry {self.root} answers {error.code}: {shown}.")


def _opener(environment: Mapping[str, str]) -> OpenerDirector:
    context = ssl.create_default_context(cafile=environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return build_opener(_NoRedirects(), HTTPSHandler(context=context))


def _error(cause: object) -> BaseException:
    """Returns a cause without the number that the system has for it."""
    if isinstance(cause, OSError) and cause.errno is not None:
        return OSError(os.strerror(cause.errno) if cause.errno > 0 else cause.strerror)
    return cause if isinstance(cause, BaseException) else OSError(str(cause))
