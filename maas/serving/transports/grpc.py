"""gRPC: the methods of its protocols, standard health checking and reflection, by the same service."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from typing import NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from maas.errors import ConfigError, OverloadError
from maas.serving.deadlines import PRIORITY, TIMEOUT
from maas.serving.faults import kind_of, logged_failure, message_of
from maas.serving.observers import outcome_of
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.grpc_methods import POOL
from maas.serving.protocols.open_inference.grpc import SERVICE, v2_grpc_methods
from maas.serving.protocols.open_inference.grpc_streams import MODEL_STREAM_INFER, ModelStreamInfer, stream_fault
from maas.serving.protocols.operations import AnyOperation, AnyReply, Generating, Reply, Request
from maas.serving.protocols.streaming import StreamedReply
from maas.serving.protocols.tensorflow_serving.grpc import model_methods, prediction_methods
from maas.serving.protocols.tensorflow_serving.grpc_calls import MODEL_SERVICE, PREDICTION_SERVICE
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.grpc_streams import MessageReply, MessageStream

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
            handlers = {name: self._handler(operation) for name, operation in methods.items()}
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
        request = self._request(message, _bytes_of(context.invocation_metadata()))
        try:
            reply = await self._outcome(operation, request)
            if isinstance(reply, StreamedReply):
                raise NotImplementedError("The reply of a method is written whole.")
            code = _code_of(reply)
        finally:
            self._observe(operation, request, code, start)
        if isinstance(reply, BaseException):
            return await _refuse(reply, code, context)
        metadata = [(name.decode(), value.decode()) for name, value in reply.metadata]
        context.set_trailing_metadata((*metadata, ("x-request-id", request.request_id.decode())))
        return reply.body

    def _handler(self, operation: AnyOperation) -> grpc.RpcMethodHandler:
        """Returns a handler of messages that are neither read nor written by gRPC itself."""
        if isinstance(operation, Generating):
            return grpc.stream_stream_rpc_method_handler(partial(self._stream, operation))
        return grpc.unary_unary_rpc_method_handler(partial(self._respond, operation))

    async def _stream(
        self, operation: AnyOperation, messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncGenerator[bytes, None]:
        """Yields pieces of the replies to some messages; a client that leaves ends the work on them."""
        given = _bytes_of(context.invocation_metadata())
        stream = MessageStream(
            partial(self._message_reply, operation, given), partial(_refusal, operation), stream_fault
        )
        async with aclosing(stream.replies(messages)) as replies:
            async for reply in replies:
                yield reply

    async def _message_reply(
        self, operation: AnyOperation, given: Mapping[bytes, bytes], message: bytes
    ) -> MessageReply:
        """Returns the reply to one message of a stream."""
        start, request = time.perf_counter(), self._request(message, given)

        def ended(error: BaseException | None) -> None:
            self._observe(operation, request, grpc.StatusCode.OK if error is None else _status_of(error), start)

        try:
            return MessageReply(await self._outcome(operation, request), ended)
        except asyncio.CancelledError as error:
            ended(error)
            raise

    def _request(self, message: bytes, given: Mapping[bytes, bytes]) -> Request:
        return Request(
            body=message,
            metadata={name: value for name, value in given.items() if name != ACCEPTED},
            request_id=self._service.request_id(given.get(b"x-request-id", b"")),
            timeout=given.get(TIMEOUT, b""),
            priority=given.get(PRIORITY, b""),
        )

    def _observe(self, operation: AnyOperation, request: Request, code: grpc.StatusCode, start: float) -> None:
        seconds = time.perf_counter() - start
        self._service.observe(outcome_of("POST", operation.path, operation, request, code.value[0], seconds))

    async def _outcome(self, operation: AnyOperation, request: Request) -> AnyReply | BaseException:
        """Returns the reply to a request or its fault; cancelling it withdraws the request."""
        try:
            held = self._bodies.hold(len(request.body), 0)
        except OverloadError as error:
            return error
        outcome: asyncio.Future[AnyReply | BaseException] = asyncio.get_running_loop().create_future()
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
        SERVICE: {**v2_grpc_methods(), MODEL_STREAM_INFER.name: ModelStreamInfer()},
        PREDICTION_SERVICE: prediction_methods(),
        MODEL_SERVICE: model_methods(),
    }


def _bytes_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[bytes, bytes]:
    """Returns what a caller sent beside its message, by name."""
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in metadata or ()}


def _keep(outcome: "asyncio.Future[AnyReply | BaseException]", found: AnyReply | BaseException) -> None:
    if not outcome.done():  # its caller may have left in this turn of the loop
        outcome.set_result(found)


def _code_of(outcome: Reply | BaseException) -> grpc.StatusCode:
    return grpc.StatusCode.OK if isinstance(outcome, Reply) else _status_of(outcome)


def _status_of(error: BaseException) -> grpc.StatusCode:
    if isinstance(error, asyncio.CancelledError):
        return grpc.StatusCode.CANCELLED
    return GRPC_STATUS.get(kind_of(error), grpc.StatusCode.INTERNAL)


def _refusal(operation: AnyOperation, error: BaseException) -> bytes:
    """Returns what a message of a stream says of a fault; what is not the caller's goes to the log with an id."""
    kind = kind_of(error)
    text = logged_failure(error)[0] if kind == "internal_error" else message_of(error)
    return encode(operation.fault(kind, text))


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
