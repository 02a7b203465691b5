"""What every transport offers: it finds operations and answers requests. It knows no socket and no protocol's form.

A transport reads a request, lets the service answer it, writes the reply and reports the outcome.
"""

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from maas.runtime.codec import Outputs
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, Call, size_of_outputs
from maas.serving.documentation import documentation
from maas.serving.observers import Observer, Outcome
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols import operations_of
from maas.serving.protocols.operations import AnyOperation, Inference, Page, Reply, Request
from maas.serving.repository import Deployment, Repository, Snapshot
from maas.serving.routing import RouteTable

_READABLE_ID = re.compile(rb"[!-~]{1,128}").fullmatch


class Service:
    """Answers the requests of any transport.

    Args:
        repository: the models; the service closes it when it is closed.
        pages: operations that no protocol has, such as metrics.
        observers: see each outcome.
        reader: reads large bodies; the service closes it as well.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        pages: Sequence[Page] = (),
        observers: Sequence[Observer] = (),
        reader: InputReader | None = None,
    ) -> None:
        self._repository = repository
        self._pages = tuple(pages)
        self._observers = tuple(observers)
        self._reader = reader or InputReader(1024)
        self._routes: tuple[str, RouteTable] = ("", RouteTable(()))
        self._id_prefix, self._numbers = os.urandom(5).hex().encode(), itertools.count(1)

    @property
    def routes(self) -> RouteTable:
        """The operations for what is served now, made again only when that changes."""
        snapshot = self._repository.snapshot
        if self._routes[0] != snapshot.digest:
            operations = [*operations_of(snapshot), *self._pages]
            self._routes = (snapshot.digest, RouteTable([*operations, *documentation(operations)]))
        return self._routes[1]

    def find(self, method: str, path: str) -> tuple[AnyOperation, Mapping[str, str]]:
        """Returns an operation and the values of its path's open segments.

        Raises:
            UnknownRouteError: no operation has this path.
            MethodError: the path has other methods.
        """
        return self.routes.find(method, path)

    def request_id(self, given: bytes) -> bytes:
        """Returns the caller's name of a request, or a new one that no other process makes.

        Args:
            given: by the caller; what cannot be repeated in a header and a log is ignored.
        """
        if given and _READABLE_ID(given):
            return given
        return b"%b-%x" % (self._id_prefix, next(self._numbers))

    async def respond(self, operation: AnyOperation, request: Request) -> Reply:
        """Returns the reply to a request; cancelling it ends the request's work.

        Raises:
            InputError: the request or a row of it cannot be understood, or an output is not finite.
            OverloadError: there is no room for it.
            DeadlineError: its deadline has passed.
        """
        if isinstance(operation, Page):
            return operation.reply(request, self._repository.snapshot)
        snapshot = self._repository.snapshot
        if not operation.is_large(request, snapshot):
            return await self._reply(operation, request, operation.parse(request, snapshot), snapshot)
        with self._repository.held(snapshot):  # rows that one version preprocesses are nothing for the next
            call = await self._reader.read(operation, request, snapshot)
            return await self._reply(operation, request, call, snapshot)

    async def _reply(self, operation: Inference[Any], request: Request, call: Call, snapshot: Snapshot) -> Reply:
        """Runs a call and renders what comes of it."""
        deployment = snapshot.find(call.model, call.version)
        request.version = deployment.version
        async for chunk in deployment.engine.submit(call):
            outputs = chunk.outputs
            if chunk.is_last:
                break
        return await _rendered(operation, call, deployment, outputs)

    def observe(self, outcome: Outcome) -> None:
        """Shows an outcome to all observers."""
        for observer in self._observers:
            observer.observe(outcome)

    def start(self) -> None:
        """Begins what goes on beside the models, on the running event loop."""
        self._repository.start()

    async def close(self) -> None:
        """Finishes what was admitted, and ends threads and processes."""
        await self._repository.close()
        await self._reader.close()


def outcome_of(
    method: str, path: str, operation: AnyOperation | None, request: Request, status: int, seconds: float
) -> Outcome:
    """Returns what observers see of a request.

    Args:
        method: as the client sent it.
        path: as the client sent it.
        operation: that answered; null where there is none.
        request: as the operation left it.
        status: the transport's status.
        seconds: from the request's head to its reply.
    """
    return Outcome(
        method=method,
        path=path,
        route=operation.path if operation else "unknown",
        protocol=operation.protocol if operation else "server",
        model=request.model,
        version=request.version,
        request_id=request.request_id,
        status=status,
        seconds=seconds,
    )


async def _rendered(operation: Inference[Any], call: Call, deployment: Deployment, outputs: Outputs) -> Reply:
    """Returns the reply to a call, a large one in turns with other work."""
    rendered = operation.render(call, deployment, outputs)
    if size_of_outputs(outputs) > OUTPUT_VALUES_AT_ONCE:
        body = b"".join([part async for part in in_turns(rendered.parts)])
    else:
        body = b"".join(rendered.parts)
    return Reply(body, rendered.media_type, (*deployment.reply_metadata, *rendered.metadata))


async def in_turns(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yields parts; what else waits for the event loop has its turn between two of them."""
    for part in parts:
        yield part
        await asyncio.sleep(0)
