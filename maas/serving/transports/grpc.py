"""gRPC: the methods of its protocols, standard health checking and reflection, by the same service."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NoReturn, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from maas.errors import ConfigError, OverloadError
from maas.serving.deadlines import PRIORITY, TIMEOUT
from maas.serving.faults import kind_of, logged_failure, message_of
from maas.serving.protocols.grpc_methods import POOL
from maas.serving.protocols.operations import AnyOperation, AnyReply, Reply, Request
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.protocols.tf_grpc import model_methods, prediction_methods
from maas.serving.protocols.tf_grpc_calls import MODEL_SERVICE, PREDICTION_SERVICE
from maas.serving.protocols.v2_grpc import SERVICE, v2_grpc_methods
from maas.serving.service import Service, outcome_of
from maas.serving.transports.body_limits import BodyBudget

GRPC_STATUS = {
    "invalid_input": grpc.StatusCode.INVALID_ARGUMENT,
    "invalid_json": grpc.StatusCode.INVALID_ARGUMENT,
    "answer_not_finite": grpc.StatusCode.INVALID_ARGUMENT,
    "unknown_model": grpc.StatusCode.NOT_FOUND,
    "body_too_large": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "too_many_rows": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "internal_error": grpc.StatusCode.INTERNAL,
    "generation_failed": grpc.StatusCode.INTERNAL,
    "overloaded": grpc.StatusCode.UNAVAILABLE,
    "deadline_exceeded": grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The status of each kind of fault that a method can meet."""
Respond: TypeAlias = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]
ACCEPTED = b"accept-encoding"
"""A message is compressed by gRPC itself, and by nothing else."""
LONGEST_DETAILS = 400
"""Of characters beyond ASCII, which have nine bytes each on the way; clients refuse more than 8 KiB."""


class GrpcServer:
    """A gRPC server, made on the event loop that it runs on.

    Args:
        service: answers requests.
        host: the address to listen on.
        port: 0 picks a free one.
        bodies: bytes of all bodies; a message that is too large by itself is not received.
        is_shared: whether other processes listen on the same port; the system then gives each some connections.
    """

    def __init__(self, service: Service, host: str, port: int, bodies: BodyBudget, *, is_shared: bool = False) -> None:
        self._service, self._bodies = service, bodies
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._health = health_aio.HealthServicer()
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", bodies.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(is_shared)),
            ]
        )
        self._services = grpc_services()
        for service_name, methods in self._services.items():
            handlers = {name: _handler(partial(self._respond, operation)) for name, operation in methods.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            POOL.AddSerializedFile(file.serialized_pb)
        names = (*self._services, HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=POOL)

    async def start(self) -> str:
        """Listens, and returns the address.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigError(
                f"Cannot listen on {self._address} for gRPC. Choose another port, e.g. grpc_port=8082, or grpc_port=0 "
                "for a free one."
            ) from error
        for name in self._services:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return f"{self._address.rpartition(':')[0]}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Accepts no more requests, and answers those that were accepted.

        Args:
            grace_s: seconds after which what still runs is cancelled.
        """
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    async def _respond(self, operation: AnyOperation, message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Returns the reply to a message; a client that gives up, or whose deadline passes, cancels it."""
        start, code = time.perf_counter(), grpc.StatusCode.CANCELLED
        given = _bytes_of(context.invocation_metadata())
        request = Request(
            body=message,
            metadata={name: value for name, value in given.items() if name != ACCEPTED},
            request_id=self._service.request_id(given.get(b"x-request-id", b"")),
            timeout=given.get(TIMEOUT, b""),
            priority=given.get(PRIORITY, b""),
        )
        try:
            reply = await self._outcome(operation, request)
            code = _code_of(reply)
        finally:
            seconds = time.perf_counter() - start
            outcome = outcome_of("POST", operation.path, operation, request, code.value[0], seconds)
            self._service.observe(outcome)
        if isinstance(reply, BaseException):
            return await _refuse(reply, code, context)
        metadata = [(name.decode(), value.decode()) for name, value in reply.metadata]
        context.set_trailing_metadata((*metadata, ("x-request-id", request.request_id.decode())))
        return reply.body

    async def _outcome(self, operation: AnyOperation, request: Request) -> Reply | BaseException:
        """Returns the reply to a request or its fault; cancelling it withdraws the request."""
        try:
            held = self._bodies.hold(len(request.body), 0)
        except OverloadError as error:
            return error
        outcome: asyncio.Future[Reply | BaseException] = asyncio.get_running_loop().create_future()
        withdraw = self._service.begin(operation, request, partial(_keep, outcome))
        try:
            return await outcome
        except asyncio.CancelledError:
            withdraw()
            raise
        finally:
            self._bodies.held_bytes -= held


def grpc_services() -> dict[str, dict[str, AnyOperation]]:
    """Returns the methods of each service, by its name and theirs."""
    return {
        SERVICE: v2_grpc_methods(),
        PREDICTION_SERVICE: prediction_methods(),
        MODEL_SERVICE: model_methods(),
    }


def _bytes_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[bytes, bytes]:
    """Returns what a caller sent beside its message, by name."""
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in metadata or ()}


def _handler(respond: Respond) -> grpc.RpcMethodHandler:
    """Returns a handler of messages that are neither read nor written by gRPC itself."""
    return grpc.unary_unary_rpc_method_handler(respond)


def _keep(outcome: "asyncio.Future[Reply | BaseException]", found: AnyReply | BaseException) -> None:
    """Keeps what was found; no method of these services streams."""
    if isinstance(found, StreamedReply):
        found = NotImplementedError("The reply of a method is written whole.")
    outcome.set_result(found)


def _code_of(outcome: Reply | BaseException) -> grpc.StatusCode:
    if isinstance(outcome, Reply):
        return grpc.StatusCode.OK
    return GRPC_STATUS.get(kind_of(outcome), grpc.StatusCode.INTERNAL)


async def _refuse(error: BaseException, code: grpc.StatusCode, context: grpc.aio.ServicerContext) -> NoReturn:
    """Ends a method with a status; what is not the caller's fault goes to the log with an id."""
    text = message_of(error)
    if not text.isascii():
        text = text[:LONGEST_DETAILS]
    if code is grpc.StatusCode.INTERNAL:
        text, _ = logged_failure(error)
    elif isinstance(error, OverloadError):
        context.set_trailing_metadata((("grpc-retry-pushback-ms", str(1000 * error.retry_after_s)),))
    await context.abort(code, text)
    raise error  # the line above raises already
