"""The client for ordinary code."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
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


class Client:
    """A server of maas, as if its models were here. Threads may share a client; its connections are kept.

    Args:
        url: of the server, with its path prefix if it has one.
        timeout_s: time for a whole call, with all of its parts and attempts, in seconds.
        retries: largest number of attempts after the first, where the server is busy or a connection fails.
        headers: sent with each request, e.g. `{"authorization": "Bearer …"}`.
        verify: whether the certificate of an https server is checked, or a context that checks it.

    Raises:
        ConfigError: the URL is none of HTTP.

    Example:
        >>> with Client("http://127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     client.predict(["这是一个很棒的文本"])
        [{'label': 'positive', 'score': 0.98}]
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
        self._http = httpx2.Client(**self._connection.options)

    def predict(
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
        return self._followed(prediction_steps(inputs, choice, self._settings, self._known))

    def scores(self, inputs: Sequence[Any], model: str | None = None, version: str | int | None = None) -> NDArray[Any]:
        """Returns the plain numbers of raw rows, (N, K).

        Args:
            inputs: list of rows, as for `predict`.
            model: name of the model; null for the server's default.
            version: its version or a label of one; null for the default.

        Raises:
            MaasError: as for `predict`.
        """
        choice = {"model": model, "version": version}
        return self._followed(score_steps(inputs, choice, self._settings, self._known))

    def generate(self, prompt: ServedPrompt, model: str | None = None, **settings: object) -> ServedText:
        """Continues a text, or answers a conversation.

        Args:
            prompt: a text, or messages `{"role": …, "content": …}`.
            model: name of the model; null for the server's first that generates.
            **settings: fields of OpenAI's request, e.g. `max_tokens=64`, `temperature=0.7`, `seed=1`, `stop="###"`. The
                likeliest tokens are taken unless `temperature` is set.

        Raises:
            MaasError: as for `predict`.
        """
        return self._followed(text_steps(prompt, model, settings, self._settings))

    def stream(self, prompt: ServedPrompt, model: str | None = None, **settings: object) -> Iterator[ServedPiece]:
        """Yields the pieces of a text as they come; closing the iterator ends the text.

        Attempts are repeated until the first piece has come, and never after it. Arguments as for `generate`.

        Raises:
            MaasError: as for `predict`.
        """
        return self._pieces(text_request(prompt, model, settings, self._settings, is_streamed=True))

    def models(self) -> list[ServedModel]:
        """Returns the models that the server has, each with its default version.

        Raises:
            MaasError: the server is busy, too slow or away.
        """
        return self._followed(model_steps(self._settings))

    def ready(self) -> bool:
        """Returns whether the server can answer now; one that is away cannot."""
        return self._followed(ready_steps(self._settings))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self, request: Outgoing) -> Iterator[ServedPiece]:
        parts: Iterator[bytes] = iter(())
        with ExitStack() as opened:

            def begun(step: Outgoing) -> Incoming:
                """Returns a reply with its first bytes, or the whole of one that is no success."""
                nonlocal parts
                with self._connection.errors_named():
                    opened.close()  # an earlier attempt
                    response = opened.enter_context(self._http.stream(**self._connection.arguments(step)))
                    parts = response.iter_bytes()
                    body = next(parts, b"") if response.status_code == 200 else response.read()
                    return incoming(response, body)

            reader = PieceReader(self._followed(exchange(request, self._settings.retries), begun))
            yield from reader.read(b"")
            with self._connection.errors_named():
                for part in parts:
                    _ = request.remaining_s  # the library's timeout is of each part alone
                    yield from reader.read(part)
            reader.require_end()

    def _followed(self, steps: Steps[_T], reply_to: Callable[[Outgoing], Incoming] | None = None) -> _T:
        """Returns what steps give in the end."""
        progress = Progress(steps)
        while (step := progress.step) is not None:
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                progress.resume()
                continue
            try:
                reply = (reply_to or self._reply_to)(step)
            except MaasError as error:
                progress.fail(error)
            else:
                progress.reply(reply)
        return progress.result

    def _reply_to(self, request: Outgoing) -> Incoming:
        with self._connection.errors_named(), self._http.stream(**self._connection.arguments(request)) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                _ = request.remaining_s  # the library's timeout is of each part alone
            return incoming(response, b"".join(parts))
