"""What the operations of OpenAI's protocol have in common: its form of a fault."""

from collections.abc import Mapping

from maas.serving.protocols.operations import Operation

ERROR_CODES = {"unknown_model": "model_not_found"}
"""Kinds of faults that OpenAI has a code of its own for."""
_SERVER_FAULTS = frozenset({"internal_error", "generation_failed", "overloaded", "deadline_exceeded"})


class OpenAiOperation(Operation):
    """An operation of OpenAI's protocol.

    Args:
        is_documented: whether documents show it.
    """

    protocol = "openai"

    def __init__(self, *, is_documented: bool = True) -> None:
        self.is_documented = is_documented

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns OpenAI's object of an error."""
        error = {
            "message": message,
            "type": "server_error" if kind in _SERVER_FAULTS else "invalid_request_error",
            "param": "model" if kind == "unknown_model" else None,
            "code": ERROR_CODES.get(kind, kind),
        }
        return {"error": error}
