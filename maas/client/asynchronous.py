"""The client for code on an event loop."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
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
from maas.client.exchanges import Incoming, Outgoing, Pause, Progress, Steps, exchange
from maas.client.known import KnownServer
from maas.client.texts import PieceReader, ServedPiece, ServedPrompt, ServedText, text_request, text_steps
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

    async def generate(self, prompt: ServedPrompt, model: str | None = None, **settings: object) -> ServedText:
        """Continues a text, or answers a conversation.

        Args:
            prompt: a text, or messages `{"role": …, "content": …}`.
            model: name of the model; null for the server's first that generates.
            **settings: fields of OpenAI's request, e.g. `max_tokens=64`, `temperature=0.7`, `seed=1`, `stop="###"`. The
                likeliest tokens are taken unless `temperature` is set.

        Raises:
            MaasError: as for `predict`.
        """
        return await self._followed(text_steps(prompt, model, settings, self._settings))

    def stream(
        self, prompt: ServedPrompt, model: str | None = None, **settings: object
    ) -> AsyncGenerator[ServedPiece, None]:
        """Yields the pieces of a text as they come; closing the iterator ends the text.

        Attempts are repeated until the first piece has come, and never after it. Arguments as for `generate`.

        Raises:
            MaasError: as for `predict`.
        """
        return self._pieces(text_request(prompt, model, settings, self._settings, is_streamed=True))

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

    async def _pieces(self, request: Outgoing) -> AsyncGenerator[ServedPiece, None]:
        parts: AsyncIterator[bytes] | None = None
        async with AsyncExitStack() as opened:

            async def begun(step: Outgoing) -> Incoming:
                """Returns a reply with its first bytes, or the whole of one that is no success."""
                nonlocal parts
                arguments = self._connection.arguments(step)
                with self._connection.errors_named():
                    await opened.aclose()  # an earlier attempt
                    async with asyncio.timeout(arguments["timeout"]):
                        response = await opened.enter_async_context(self._http.stream(**arguments))
                        parts = response.aiter_bytes()
                        body = await anext(parts, b"") if response.status_code == 200 else await response.aread()
                        return incoming(response, body)

            reader = PieceReader(await self._followed(exchange(request, self._settings.retries), begun))
            part: bytes | None = b""
            while part is not None:
                for piece in reader.read(part):
                    yield piece
                part = await self._next_part(request, parts)
            reader.require_end()

    async def _next_part(self, request: Outgoing, parts: AsyncIterator[bytes] | None) -> bytes | None:
        """Returns the next bytes of a stream; None at its end."""
        if parts is None:
            return None
        with self._connection.errors_named():
            async with asyncio.timeout(request.remaining_s):
                return await anext(parts, None)

    async def _followed(
        self, steps: Steps[_T], reply_to: Callable[[Outgoing], Awaitable[Incoming]] | None = None
    ) -> _T:
        """Returns what steps give in the end."""
        progress = Progress(steps)
        while (step := progress.step) is not None:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                progress.resume()
                continue
            try:
                reply = await (reply_to or self._reply_to)(step)
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
