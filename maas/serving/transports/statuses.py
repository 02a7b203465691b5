"""HTTP's status of each kind of fault, and the reply that says what went wrong."""

from maas.errors import OverloadError
from maas.serving.faults import kind_of, logged_failure, message_of
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import JSON, AnyOperation, Reply, common_fault
from maas.serving.routing import MethodError

STATUS = {
    "invalid_input": 400,
    "invalid_json": 400,
    "malformed_request": 400,
    "answer_not_finite": 400,
    "invalid_graphql": 400,
    "query_too_costly": 400,
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
    "generation_failed": 500,
    "overloaded": 503,
    "deadline_exceeded": 504,
}
"""The status of each kind of fault."""
CLIENT_GONE = 499  # nobody reads it; the metrics show it


def http_refusal(error: BaseException, operation: AnyOperation | None = None) -> tuple[int, Reply]:
    """Returns status and reply of a request that failed; what is not the caller's fault goes to the log with an id.

    Args:
        error: what was raised.
        operation: that was wanted, which knows the form of the reply; null where there is none.
    """
    fault, media_type = (operation.fault, operation.fault_type) if operation else (common_fault, JSON)
    kind = kind_of(error)
    status = STATUS[kind]
    content = fault(kind, message_of(error))
    headers: list[tuple[bytes, bytes]] = []
    if status == 500:
        message, identity = logged_failure(error)
        shown = message if kind == "internal_error" else message_of(error)
        content = {**fault(kind, shown), "id": identity}
    elif isinstance(error, OverloadError):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    elif isinstance(error, MethodError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif status == 413:
        headers.append((b"connection", b"close"))
    return status, Reply(encode(content), media_type, tuple(headers))
