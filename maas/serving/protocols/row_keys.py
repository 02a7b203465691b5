"""Keys of a row that stand in a body by themselves: `{"user": "u1", "top_k": 5}` is a row as it is.

A processor names them as `row_keys`; of most there are none, and a body then holds its input by one name alone.
"""

from collections.abc import Mapping

import msgspec

from maas.runtime.codec import Codec
from maas.serving.faults import UnreadableError
from maas.serving.protocols.operation_documents import JsonSchema, QueryParameter
from maas.serving.protocols.operations import Request
from maas.serving.protocols.parameters import count_parameter

TOP_K = "top_k"
COUNT_QUERY = QueryParameter(TOP_K, {"type": "integer", "minimum": 1}, "how many items are wanted")


def keyed_value(body: object, value: object, request: Request, codec: Codec) -> object:
    """Returns the row, or the rows, that a body holds: keys of the body belong to each row that does not have its own.

    Args:
        body: with an attribute for each of the codec's `row_keys`, unset where it was not sent.
        value: of the codec's input; unset where it was not sent.
        request: whose query may say how many items are wanted.
        codec: the model's.

    Raises:
        UnreadableError: the body holds neither the input nor another key of a row.
    """
    given = {key: found for key in codec.row_keys if (found := getattr(body, key)) is not msgspec.UNSET}
    if TOP_K in codec.row_keys and (count := count_parameter(request, TOP_K, None)) is not None:
        given.setdefault(TOP_K, count)
    if value is msgspec.UNSET:
        if not given:
            raise UnreadableError(
                f"The body has neither {codec.input_name} nor {' nor '.join(codec.row_keys)}; send JSON"
            )
        return given
    if not given:
        return value
    if codec.is_many(value) and isinstance(value, list):
        return [_keyed(one, given, codec.input_name) for one in value]
    return _keyed(value, given, codec.input_name)


def keyed_schemas(codec: Codec) -> dict[str, object]:
    """Returns the schemas of such keys, by name."""
    choices = codec.row_schema.get("anyOf", [])
    objects = [choice["properties"] for choice in choices if choice.get("type") == "object"]
    return {key: objects[0][key] for key in codec.row_keys} if objects else {}


def required_keys(codec: Codec, schema: JsonSchema) -> JsonSchema:
    """Returns the schema of a body that needs not have its input, where another key of a row may stand for it."""
    if not codec.row_keys:
        return schema
    return {name: value for name, value in schema.items() if name != "required"}


def _keyed(row: object, given: Mapping[str, object], name: str) -> object:
    return {**given, **row} if isinstance(row, Mapping) else {name: row, **given}
