"""What a body in OpenAI's form says of a fault."""

OPENAI_ERROR_CODES = {"unknown_model": "model_not_found"}
"""Kinds of faults that OpenAI has a code of its own for."""
_SERVER_FAULTS = frozenset({"internal_error", "generation_failed", "overloaded", "deadline_exceeded"})


def openai_fault(kind: str, message: str) -> dict[str, object]:
    """Returns what a body says of a fault."""
    error = {
        "message": message,
        "type": "server_error" if kind in _SERVER_FAULTS else "invalid_request_error",
        "param": "model" if kind == "unknown_model" else None,
        "code": OPENAI_ERROR_CODES.get(kind, kind),
    }
    return {"error": error}
