"""What every transport offers: it finds operations and answers requests. It knows no socket and no protocol's form.

A transport reads a request, lets the service answer it, writes the reply and reports the outcome.
"""

import asyncio
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from maas.errors import InputError, OverloadError
from maas.runtime.codec import Outputs
from maas.serving import later
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, Call, size_of_outputs
from maas.serving.deadlines import RequestInTime, passed_deadline, timeout_s, with_priority
from maas.serving.engines import Withdraw
from maas.serving.handing_over import Done, attempted, nothing, start_task
from maas.serving.observers import Observer, Outcome
from maas.serving.prepared import PreparedInference
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols import sources_of
from maas.serving.protocols.operations import (
    Action,
    AnyOperation,
    AnyReply,
    Compound,
    Explaining,
    Generating,
    Inference,
    Page,
    Reply,
    Request,
)
from maas.serving.rendering import rendered_at_once, rendered_in_turns, written_in_turns
from maas.serving.repository import Deployment, PredictingDeployment, Repository, Snapshot
from maas.serving.routing import OperationSource, RouteTable
from maas.serving.stopping import GRACE_S

if TYPE_CHECKING:
    from maas.serving.explainer import Explainer, ExplanationCall
    from maas.serving.rollout.rollouts import Rollouts

DOCUMENTATION = ("/docs", "/openapi.json")
_READABLE_ID = re.compile(rb"[!-~]{1,128}").fullmatch


class Service:
    """Answers the requests of any transport.

    Args:
        repository: the models; the service closes it when it is closed.
        pages: operations that no protocol has, such as metrics.
        observers: see each outcome.
        reader: reads large bodies; the service closes it as well.
        sources: returns where operations for the models of a snapshot come from; all protocols unless it is for
            administrators.
        rollouts: decide which version answers where a request names none; the service closes them as well. Null where
            there can be none.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        pages: Sequence[Page | Action] = (),
        observers: Sequence[Observer] = (),
        reader: InputReader | None = None,
        sources: Callable[[Snapshot], Sequence[OperationSource]] = sources_of,
        rollouts: "Rollouts | None" = None,
    ) -> None:
        self._repository = repository
        self._pages = tuple(pages)
        self._observers = tuple(observers)
        self._reader = reader or InputReader(1024)
        self._sources = sources
        self._rollouts = rollouts
        self._routed: Snapshot | None = None
        self._routes = RouteTable(())
        self._is_stopping = False
        self._id_prefix, self._numbers = os.urandom(5).hex().encode(), itertools.count(1)

    @property
    def routes(self) -> RouteTable:
        """The operations for what is served now, made again only when that changes: they keep it in memory."""
        snapshot = self._repository.snapshot
        if snapshot is not self._routed:
            if self._routed is None or snapshot != self._routed:
                self._routes = _table([*self._sources(snapshot), self._own_pages])
            self._routed = snapshot
        return self._routes

    @property
    def _own_pages(self) -> OperationSource:
        return OperationSource(tuple(page.path for page in self._pages), lambda: self._pages)

    @cached_property
    def _explainer(self) -> "Explainer":
        return later.Explainer()

    def find(self, method: str, path: str) -> tuple[AnyOperation, Mapping[str, str]]:
        """Returns an operation and the values of its path's open segments.

        Raises:
            UnknownRouteError: no operation has this path.
            MethodError: the path has other methods.
        """
        return self.routes.find(method, path)

    @property
    def settled(self) -> Snapshot | None:
        """What is served, where it is the same for all requests; None as long as roll-outs decide on that."""
        return self._repository.snapshot if self._rollouts is None or not self._rollouts.is_active else None

    def prepared(self, operation: AnyOperation, request: Request) -> PreparedInference | None:
        """Returns an inference prepared for requests with one head, on what is settled; None where there is none.

        Args:
            operation: that answers them.
            request: one of them; its body is not looked at.
        """
        snapshot = self.settled
        if snapshot is None or not isinstance(operation, Inference) or request.timeout or request.priority:
            return None
        try:
            reader = operation.row_reader(request, snapshot)
        except InputError:  # each request gets the fault
            return None
        return None if reader is None else PreparedInference(operation, reader)

    def request_id(self, given: bytes) -> bytes:
        """Returns the caller's name of a request, or a new one that no other process makes.

        Args:
            given: by the caller; what cannot be repeated in a header and a log is ignored.
        """
        if given and _READABLE_ID(given):
            return given
        return b"%b-%x" % (self._id_prefix, next(self._numbers))

    async def respond(self, operation: AnyOperation, request: Request) -> AnyReply:
        """Returns the reply to a request; cancelling it ends the request's work.

        Raises:
            InputError: the request or a row of it cannot be understood, or an output is not finite.
            OverloadError: there is no room for it.
            DeadlineError: its deadline has passed.
        """
        if not request.timeout:
            return await self._responded(operation, request)
        try:
            async with asyncio.timeout(timeout_s(request.timeout)):
                return await self._responded(operation, request)
        except TimeoutError as error:
            raise passed_deadline() from error

    async def _responded(self, operation: AnyOperation, request: Request) -> AnyReply:
        if isinstance(operation, Page):
            return self._page(operation, request, self._repository.snapshot)
        if isinstance(operation, Action):
            return await operation.perform(request)
        snapshot = self._repository.snapshot
        if isinstance(operation, Explaining | Generating):
            return await self._in_many_runs(operation, request, snapshot)
        if self._rollouts is not None and self._rollouts.is_active:
            snapshot = self._rollouts.snapshot_for(request, snapshot)
        if isinstance(operation, Compound):
            with self._repository.held(snapshot):
                return await operation.respond(request, snapshot)
        if not operation.is_large(request, snapshot):
            call = with_priority(operation.parse(request, snapshot), request)
            return await self._submitted(operation, request, call, snapshot)
        with self._repository.held(snapshot):  # rows that one version preprocesses are nothing for the next
            call = with_priority(await self._reader.read(operation, request, snapshot), request)
            return await self._submitted(operation, request, call, snapshot)

    def begin(self, operation: AnyOperation, request: Request, done: Done) -> Withdraw:
        """Does the same for a transport that waits with a function; what takes little work costs no task.

        Args:
            operation: that answers.
            request: read whole.
            done: receives the reply or the fault, now or later, unless the request is withdrawn.

        Returns:
            What withdraws the request.
        """
        if request.timeout:
            return attempted(done, self._begun_in_time, operation, request, done) or nothing
        return attempted(done, self._begun, operation, request, done) or nothing

    def observe(self, outcome: Outcome) -> None:
        """Shows an outcome to all observers, and counts it among those of its model."""
        snapshot = self._repository.snapshot
        deployment: Deployment | None = snapshot.version_of(outcome.model, outcome.version)
        if deployment is None:
            deployment = snapshot.generating_version_of(outcome.model, outcome.version)
        if deployment is not None:
            deployment.statistics.count_request(is_answered=outcome.is_answered, seconds=outcome.seconds)
        for observer in self._observers:
            observer.observe(outcome)

    def stop(self) -> None:
        """Reports that the server is not ready any more; requests that come all the same are answered."""
        self._is_stopping = True

    def start(self) -> None:
        """Begins what goes on beside the models, on the running event loop."""
        self._repository.start()

    async def close(self, within_s: float = GRACE_S) -> None:
        """Finishes what was admitted, for at most `within_s` seconds, and ends threads and processes."""
        await self._repository.close(within_s)
        if self._rollouts is not None:
            await self._rollouts.close()
        await self._reader.close()
        if "_explainer" in vars(self):
            self._explainer.close()

    def _begun_in_time(self, operation: AnyOperation, request: Request, done: Done) -> Withdraw:
        """Begins a request whose reply is wanted within a time."""
        timed = RequestInTime(request.timeout, done)
        return timed.begin(lambda done: attempted(done, self._begun, operation, request, done) or nothing)

    def _begun(self, operation: AnyOperation, request: Request, done: Done) -> Withdraw | None:
        snapshot = self._repository.snapshot
        if not isinstance(operation, Inference):
            return self._begun_otherwise(operation, request, done)
        if self._rollouts is not None and self._rollouts.is_active:
            snapshot = self._rollouts.snapshot_for(request, snapshot)
        if operation.is_large(request, snapshot):
            return start_task(self._responded(operation, request), done)
        call = operation.parse(request, snapshot)
        if request.priority:
            call = with_priority(call, request)
        deployment = snapshot.find(call.model, call.version)
        request.version = deployment.version
        withdraw = deployment.engine.start(call, partial(_finish, operation, request, call, deployment, done))
        return withdraw or start_task(self._submitted(operation, request, call, snapshot), done)

    def _begun_otherwise(self, operation: AnyOperation, request: Request, done: Done) -> Withdraw | None:
        if not isinstance(operation, Page):
            return start_task(self._responded(operation, request), done)
        done(self._page(operation, request, self._repository.snapshot))
        return None

    def _page(self, page: Page, request: Request, snapshot: Snapshot) -> Reply:
        if self._is_stopping and page.is_readiness:
            raise OverloadError("The server is stopping. Send requests to another one.")
        return page.reply(request, snapshot)

    async def _submitted(self, operation: Inference[Any], request: Request, call: Call, snapshot: Snapshot) -> Reply:
        """Lets a model run for a call and returns the reply."""
        deployment = snapshot.find(call.model, call.version)
        request.version = deployment.version
        async for chunk in deployment.engine.submit(call):
            outputs = chunk.outputs
            if chunk.is_last:
                break
        if size_of_outputs(outputs) > OUTPUT_VALUES_AT_ONCE:
            return await rendered_in_turns(operation, request, call, deployment, outputs)
        return rendered_at_once(operation, call, deployment, outputs)

    async def _in_many_runs(
        self, operation: Explaining[Any] | Generating[Any], request: Request, snapshot: Snapshot
    ) -> AnyReply:
        """Returns a reply that takes many runs of a model; no roll-out decides on its version."""
        if isinstance(operation, Generating):
            return await later.generated_reply(operation, request, snapshot)
        return await self._explained(operation, request, snapshot)

    async def _explained(self, operation: "Explaining[ExplanationCall]", request: Request, snapshot: Snapshot) -> Reply:
        """Lets a model run many times for a call and returns the reply."""
        with self._repository.held(snapshot):  # the version that began an explanation ends it
            if operation.is_large(request, snapshot):
                call = await self._reader.read(operation, request, snapshot)
            else:
                call = operation.parse(request, snapshot)
            call = with_priority(call, request)
            deployment = snapshot.find_any(call.model, call.version)
            request.version = deployment.version
            rendered = operation.render(call, deployment, await self._explainer.explanations(call, deployment))
        return await written_in_turns(rendered, request, deployment)


def _table(sources: Sequence[OperationSource]) -> RouteTable:
    """Returns the operations of sources, and the pages that describe them."""
    pages = OperationSource(DOCUMENTATION, lambda: later.documentation(lambda: table.operations))
    table = RouteTable([*sources, pages])
    return table


def _finish(
    operation: Inference[Any],
    request: Request,
    call: Call,
    deployment: PredictingDeployment,
    done: Done,
    outcome: Outputs | Exception,
) -> None:
    """Hands over the reply to a call that was started."""
    if isinstance(outcome, Exception):
        done(outcome)
    elif size_of_outputs(outcome) > OUTPUT_VALUES_AT_ONCE:
        start_task(rendered_in_turns(operation, request, call, deployment, outcome), done)
    else:
        reply = attempted(done, rendered_at_once, operation, call, deployment, outcome)
        if reply is not None:
            done(reply)
