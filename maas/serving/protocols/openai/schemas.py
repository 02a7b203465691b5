"""JSON Schemas of OpenAI's requests for texts."""

from maas.serving.protocols.operation_documents import JsonSchema

STRING: JsonSchema = {"type": "string"}
MAYBE_STRING: JsonSchema = {"type": ["string", "null"]}
COUNT: JsonSchema = {"type": ["integer", "null"], "minimum": 1}
FLAG: JsonSchema = {"type": ["boolean", "null"]}
NUMBER: JsonSchema = {"type": ["number", "null"]}
_COMMON: dict[str, JsonSchema] = {
    "model": MAYBE_STRING,
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2, "default": 1},
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": 0},
    "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "repetition_penalty": {"type": ["number", "null"], "minimum": 0.1, "maximum": 10},
    "stream": FLAG,
    "user": MAYBE_STRING,
    "cache_salt": MAYBE_STRING,
    "structured_outputs": {
        "type": ["object", "null"],
        "properties": {
            "json": {"type": ["object", "null"]},
            "json_object": FLAG,
            "regex": MAYBE_STRING,
            "choice": {"type": ["array", "null"], "minItems": 1, "items": {"type": "string", "minLength": 1}},
        },
        "additionalProperties": False,
    },
}
_SAMPLING: dict[str, JsonSchema] = {
    "n": COUNT,
    "stop": {"anyOf": [STRING, {"type": "array", "items": STRING}, {"type": "null"}]},
    "seed": {"type": ["integer", "null"], "minimum": 0},
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "logit_bias": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
    "stream_options": {"type": ["object", "null"], "properties": {"include_usage": FLAG}},
}


def generation_schema(required: str, **own: JsonSchema) -> dict[str, object]:
    """Returns the schema of a request for texts.

    Args:
        required: name of the field that may not be left out.
        own: schemas of the fields that other requests lack.
    """
    properties = {**own, **_COMMON}
    return {"type": "object", "required": [required], "properties": properties, "additionalProperties": False}


def sampling_schema(required: str, **own: JsonSchema) -> dict[str, object]:
    """Returns the schema of a request for completions or chat completions; arguments as in `generation_schema`."""
    return generation_schema(required, **own, **_SAMPLING)
