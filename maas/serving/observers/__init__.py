"""Observers: they see each request and its outcome, and change nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:  # a supervisor of workers needs the form of the log alone, and no ONNX Runtime
    from maas.serving.protocols.operations import AnyOperation, Request

TRACE_CONTEXT = (b"traceparent", b"tracestate")
"""Names of metadata by which a caller names its trace. Source: https://www.w3.org/TR/trace-context/"""


class Outcome(msgspec.Struct, frozen=True):
    """One request that was answered, refused or given up.

    Args:
        method: as the client sent it.
        path: as the client sent it.
        route: path as its operation writes it, or `unknown`; never one that a client made up.
        protocol: that the operation belongs to.
        model: name of the model, or empty.
        version: version of the model, or empty.
        request_id: name of the request, the caller's own or made here.
        status: the transport's status.
        seconds: from the request's head to its reply.
        metadata: what else the caller said, values by name in lower case; HTTP calls it headers.
    """

    method: str
    path: str
    route: str
    protocol: str
    model: str
    version: str
    request_id: bytes
    status: int
    seconds: float
    metadata: Mapping[bytes, bytes] = {}

    @property
    def is_answered(self) -> bool:
        """Whether the request succeeded: by a status of HTTP, or 0 of gRPC."""
        return self.status == 0 or 200 <= self.status < 400


class Observer(Protocol):
    """Sees outcomes."""

    def observe(self, outcome: Outcome) -> None:
        """Takes note of one outcome."""


def outcome_of(
    method: str, path: str, operation: "AnyOperation | None", request: "Request", status: int, seconds: float
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
        method,
        path,
        operation.path if operation else "unknown",
        operation.protocol if operation else "server",
        request.model,
        request.version,
        request.request_id,
        status,
        seconds,
        request.metadata,
    )
