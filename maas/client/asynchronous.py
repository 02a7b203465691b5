"""The client for code on an event loop."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx2
from numpy.typing import NDArray

from maas.client.calls import (
    CallSettings,
    ServedModel,
    model_steps,
    prediction_steps,
    ready_steps,
    score_steps,
)
from maas.client.connecting import ConnectionSettings, incoming
from maas.client.exchanges import Incoming, Outgoing, Pause, Progress, Steps
from maas.client.known import KnownServer
from maas.errors import MaasError

_T = TypeVar("_T")


class AsyncClient:
    """A server of maas, as if its models were here. Tasks of one event loop may share a client.

    Args:
        url: of the server, with its path prefix if it has one.
        timeout_s: time for a whole call, with all of its parts and attempts, in seconds.
        retries: largest number of attempts after the first, where the server is busy or a connection fails.
        headers: sent with each request, e.g. `{"authorization": "Bearer …"}`.
        verify: whether the certificate of an https server is checked, or a context that checks it.

    Raises:
        ConfigError: the URL is none of HTTP.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 60.0,
        retries: int = 5,
        headers: Mapping[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._connection = ConnectionSettings.of(url, headers, verify)
        self._settings = CallSettings(timeout_s, retries)
        self._known = KnownServer()
        self._http = httpx2.AsyncClient(**self._connection.options)

    async def predict(
        self, inputs: Sequence[Any], model: str | None = None, version: str | int | None = None
    ) -> list[dict[str, Any]]:
        """Returns one prediction a raw row, as `bundle.predict` does.

        Args:
            inputs: list of rows: texts, rows by column, arrays, bytes or paths of files.
            model: name of the model; null for the server's default.
            version: its version or a label of one; null for the default.

        Raises:
            InputError: a row cannot be understood, or no such model is served.
            OverloadError: the server was busy at the last attempt.
            DeadlineError: `timeout_s` has passed.
            ServerError: the server cannot be reached, or failed.
        """
        choice = {"model": model, "version": version}
        return await self._followed(prediction_steps(inputs, choice, self._settings, self._known))

    async def scores(
        self, inputs: Sequence[Any], model: str | None = None, version: str | int | None = None
    ) -> NDArray[Any]:
        """Returns the plain numbers of raw rows, (N, K).

        Args:
            inputs: list of rows, as for `predict`.
            model: name of the model; null for the server's default.
            version: its version or a label of one; null for the default.

        Raises:
            MaasError: as for `predict`.
        """
        choice = {"model": model, "version": version}
        return await self._followed(score_steps(inputs, choice, self._settings, self._known))

    async def models(self) -> list[ServedModel]:
        """Returns the models that the server has, each with its default version.

        Raises:
            MaasError: the server is busy, too slow or away.
        """
        return await self._followed(model_steps(self._settings))

    async def ready(self) -> bool:
        """Returns whether the server can answer now; one that is away cannot."""
        return await self._followed(ready_steps(self._settings))

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _followed(self, steps: Steps[_T]) -> _T:
        """Returns what steps give in the end."""
        progress = Progress(steps)
        while (step := progress.step) is not None:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                progress.resume()
                continue
            try:
                reply = await self._reply_to(step)
            except MaasError as error:
                progress.fail(error)
            else:
                progress.reply(reply)
        return progress.result

    async def _reply_to(self, request: Outgoing) -> Incoming:
        arguments = self._connection.arguments(request)
        with self._connection.errors_named():
            async with asyncio.timeout(arguments["timeout"]), self._http.stream(**arguments) as response:
                return incoming(response, await response.aread())
