"""Stopping work for a client that has gone away."""

import asyncio
from types import TracebackType
from typing import Self

from maas.serving.transports.messages import ClientGoneError, Receive

PATIENCE_S = 0.01  # most replies are ready before it is worth looking


class CancelledWhenClientGoes:
    """Cancels the block inside once the client closes its connection, and raises ClientGoneError in its place.

    It starts to look after `PATIENCE_S`, so that quick replies do not pay for it. The body must have been read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._request = asyncio.current_task()
        self._timer = loop.call_later(PATIENCE_S, self._start_looking)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError):
            if self._request is not None:
                self._request.uncancel()
            raise ClientGoneError from None

    def _start_looking(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        message = await self._receive()  # after the body, only the end of the connection can come
        if message["type"] == "http.disconnect" and self._request is not None:
            self._gone = True
            self._request.cancel()
