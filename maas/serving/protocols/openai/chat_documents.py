"""Chat completions as the documentation shows them: the schema of a request, and a conversation that works."""

from maas.serving.protocols.openai.schemas import COUNT, FLAG, MAYBE_STRING, STRING, sampling_schema
from maas.serving.protocols.operation_documents import JsonSchema

EXAMPLE_MESSAGES = [{"role": "user", "content": "What is a bundle?"}]
_NAME: JsonSchema = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}
_NULL: JsonSchema = {"type": "null"}
_FUNCTION: JsonSchema = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _NAME,
        "description": MAYBE_STRING,
        "parameters": {"type": ["object", "null"]},
        "strict": FLAG,
    },
    "additionalProperties": False,
}


def chat_schema() -> dict[str, object]:
    """Returns the schema of a request."""
    return sampling_schema(
        "messages",
        messages={"type": "array", "minItems": 1, "items": _message()},
        max_completion_tokens=COUNT,
        max_tokens=COUNT,
        logprobs=FLAG,
        top_logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 20},
        response_format=_format(),
        tools={"type": ["array", "null"], "items": _tagged("function", function=_FUNCTION)},
        tool_choice=_choice(),
        parallel_tool_calls=FLAG,
    )


def _message() -> JsonSchema:
    part = _tagged("text", text=STRING)
    return {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": STRING,
            "content": {"anyOf": [STRING, {"type": "array", "items": part}]},
            "name": MAYBE_STRING,
            "tool_call_id": MAYBE_STRING,
        },
    }


def _format() -> JsonSchema:
    named = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": _NAME,
            "schema": {"type": ["object", "null"]},
            "description": MAYBE_STRING,
            "strict": FLAG,
        },
    }
    return {"anyOf": [_tagged("text"), _tagged("json_object"), _tagged("json_schema", json_schema=named), _NULL]}


def _choice() -> JsonSchema:
    name = {"type": "object", "required": ["name"], "properties": {"name": STRING}}
    words = {"type": "string", "enum": ["none", "auto", "required"]}
    return {"anyOf": [words, _tagged("function", function=name), _NULL]}


def _tagged(kind: str, **own: JsonSchema) -> JsonSchema:
    """Returns the schema of an object with a type and fields of its own."""
    properties = {"type": {"type": "string", "const": kind}, **own}
    return {"type": "object", "required": [*properties], "properties": properties, "additionalProperties": False}
