"""HTTP's status of each kind of fault, and the reply that says what went wrong."""

import logging
import uuid

from maas.errors import OverloadError
from maas.serving.faults import kind_of, message_of
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import FaultForm, Reply, common_fault
from maas.serving.routing import MethodError

STATUS = {
    "invalid_input": 400,
    "invalid_json": 400,
    "malformed_request": 400,
    "answer_not_finite": 400,
    "unknown_model": 404,
    "unknown_rollout": 404,
    "unknown_route": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "body_too_large": 413,
    "too_many_rows": 413,
    "unsupported_media_type": 415,
    "head_too_large": 431,
    "internal_error": 500,
    "overloaded": 503,
    "deadline_exceeded": 504,
}
"""The status of each kind of fault."""
CLIENT_GONE = 499  # nobody reads it; the metrics show it

log = logging.getLogger("maas.serving")


def http_refusal(error: BaseException, fault: FaultForm = common_fault) -> tuple[int, Reply]:
    """Returns status and reply of a request that failed; what is not the caller's fault goes to the log with an id.

    Args:
        error: what was raised.
        fault: form of the reply, of the protocol that was spoken.
    """
    kind = kind_of(error)
    status = STATUS[kind]
    content = fault(kind, message_of(error))
    headers: list[tuple[bytes, bytes]] = []
    if status == 500:
        identity = uuid.uuid4().hex
        content = {**fault(kind, f"The server failed; its log has more under id {identity}."), "id": identity}
        log.error("request %s failed", identity, exc_info=error)
    elif isinstance(error, OverloadError):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    elif isinstance(error, MethodError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif status == 413:
        headers.append((b"connection", b"close"))
    return status, Reply(encode(content), metadata=tuple(headers))
