"""What can go wrong between a client and a model, and the HTTP status that says so: one table.

InputError
├── UnreadableError      the body is not the JSON that the route takes
├── UnknownModelError    no such model, or no such version of it
├── UnknownRouteError    no such path
├── MethodError          the path is there, but not for this method
├── BodyTooLargeError    more bytes than a request may have
├── TooManyRowsError     more rows than a request may have
├── MediaTypeError       the body is not sent as plain JSON
└── AnswerError          the model's answer to this input is not a finite number
"""

from collections.abc import Sequence

from maas.errors import InputError, OverloadError


class UnreadableError(InputError):
    """The body is not the JSON that the route takes."""


class UnknownModelError(InputError):
    """No model of that name, or no such version of it, is served."""


class UnknownRouteError(InputError):
    """Nothing is served at that path."""


class MethodError(InputError):
    """The path is served, but not for this method.

    Args:
        message: what was asked, and what is allowed.
        allowed: the methods that the path takes.
    """

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class BodyTooLargeError(InputError):
    """The body has more bytes than a request may have."""


class TooManyRowsError(InputError):
    """The request has more rows than can ever be queued."""


class MediaTypeError(InputError):
    """The body is not sent as plain JSON."""


class AnswerError(InputError):
    """The model's answer to this input is not a finite number."""


STATUS: dict[type[BaseException], tuple[int, str]] = {
    OverloadError: (503, "overloaded"),
    UnreadableError: (400, "invalid_json"),
    UnknownModelError: (404, "unknown_model"),
    UnknownRouteError: (404, "unknown_route"),
    MethodError: (405, "method_not_allowed"),
    BodyTooLargeError: (413, "body_too_large"),
    TooManyRowsError: (413, "too_many_rows"),
    MediaTypeError: (415, "unsupported_media_type"),
    AnswerError: (400, "answer_not_finite"),
    InputError: (400, "invalid_input"),
    BaseException: (500, "internal_error"),
}


def status_and_code(error: BaseException) -> tuple[int, str]:
    """Returns the HTTP status and the snake_case code of an exception, by its nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
