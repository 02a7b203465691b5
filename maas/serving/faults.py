"""What can go wrong between a caller and a model, each with a kind in snake_case. A transport maps kinds to its status.

InputError                    kind
└── CallError
    ├── UnreadableError       invalid_json             the body is not the JSON that the operation takes
    ├── UnknownModelError     unknown_model            no such model, or no such version of it
    ├── UnknownRolloutError   unknown_rollout          no roll-out of that name
    ├── TooManyRowsError      too_many_rows            more rows than a call may have
    ├── TooLargeError         body_too_large           more bytes, values or pixels than a call may have
    ├── InvalidGraphqlError   invalid_graphql          the query is no GraphQL, or does not fit the schema
    ├── CostlyQueryError      query_too_costly         the query has more fields, levels or rows than one may have
    ├── MissingExtraError     unknown_route            the operation needs a package that is not installed
    ├── MediaTypeError        unsupported_media_type   the body is of a type that the operation does not read
    └── NotFiniteError        answer_not_finite        the model's outputs for this input are not finite numbers
DeadlineError                 deadline_exceeded        the outcome was not ready in time; of maas.errors
GenerationError               generation_failed        the model's logits are not finite numbers; of maas.errors
"""

import logging
import uuid
from typing import ClassVar

from maas.errors import DeadlineError, GenerationError, InputError, OverloadError

LONGEST_MESSAGE = 1000

log = logging.getLogger("maas.serving")


class CallError(InputError):
    """A fault of the caller that has a kind of its own."""

    kind: ClassVar[str] = "invalid_input"


class UnreadableError(CallError):
    """The body is not the JSON that the operation takes."""

    kind = "invalid_json"


class UnknownModelError(CallError):
    """No model of that name, or no such version of it, is served."""

    kind = "unknown_model"


class UnknownRolloutError(CallError):
    """There is no roll-out of that name."""

    kind = "unknown_rollout"


class TooManyRowsError(CallError):
    """The call has more rows than can ever be queued."""

    kind = "too_many_rows"


class TooLargeError(CallError):
    """The call has more bytes, values or pixels than a call may have."""

    kind = "body_too_large"


class MediaTypeError(CallError):
    """The body is of a type that the operation does not read."""

    kind = "unsupported_media_type"


class InvalidGraphqlError(CallError):
    """The query is no GraphQL, or does not fit the schema."""

    kind = "invalid_graphql"


class CostlyQueryError(CallError):
    """The query has more fields, levels or rows than one may have."""

    kind = "query_too_costly"


class MissingExtraError(CallError):
    """The operation needs a package that is not installed."""

    kind = "unknown_route"


class NotFiniteError(CallError):
    """The model's outputs for this input are not finite numbers."""

    kind = "answer_not_finite"


def kind_of(error: BaseException) -> str:
    """Returns the kind of a fault; `internal_error` for all that is not the caller's."""
    if isinstance(error, CallError):
        return error.kind
    if isinstance(error, OverloadError):
        return "overloaded"
    if isinstance(error, DeadlineError):
        return "deadline_exceeded"
    if isinstance(error, GenerationError):
        return "generation_failed"
    return "invalid_input" if isinstance(error, InputError) else "internal_error"


def message_of(error: BaseException) -> str:
    """Returns an error's message without its middle where it is long: messages quote what callers sent."""
    text = str(error)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 200]} … {text[-190:]}"


def logged_failure(error: BaseException) -> tuple[str, str]:
    """Writes what is not the caller's fault to the log, and returns a message that names its entry, and its id."""
    identity = uuid.uuid4().hex
    log.error("request %s failed", identity, exc_info=error)
    return f"The server failed; its log has more under id {identity}.", identity


def require_rows(rows: int, most: int, named: str = "rows") -> None:
    """Refuses a call without rows, or with more than one call may have.

    Args:
        rows: number of them.
        most: largest number.
        named: what they are.

    Raises:
        InputError: there is none.
        TooManyRowsError: there are too many.
    """
    if not rows:
        raise InputError("No rows were given; the model needs at least one.")
    if rows > most:
        raise TooManyRowsError(
            f"The request has {rows} {named}; this server takes {most} at a time. Send them in parts."
        )
