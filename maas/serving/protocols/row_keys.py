"""Keys of a row that stand in a body by themselves: `{"user": "u1", "top_k": 5}` is a row as it is.

A processor names them as `row_keys`; of most there are none, and a body then holds its input by one name alone.
"""

from collections.abc import Mapping

import msgspec

from maas.runtime.codec import Codec
from maas.runtime.searched_rows import BEAMS
from maas.serving.faults import UnreadableError
from maas.serving.protocols.operation_documents import JsonSchema, QueryParameter
from maas.serving.protocols.operations import Request
from maas.serving.protocols.parameters import count_parameter

COUNT_QUERIES = {
    "top_k": QueryParameter("top_k", {"type": "integer", "minimum": 1}, "how many items are wanted"),
    BEAMS: QueryParameter(BEAMS, {"type": "integer", "minimum": 1}, "how many texts are followed at once"),
}
"""Keys that the query may have as well."""


def keyed_value(body: object, value: object, request: Request, codec: Codec) -> object:
    """Returns the row, or the rows, that a body holds: keys of the body belong to each row that does not have its own.

    Args:
        body: with an attribute for each of the codec's `row_keys`, unset where it was not sent; None where the body is
            a file.
        value: of the codec's input; unset where it was not sent.
        request: whose query may have some of the keys.
        codec: the model's.

    Raises:
        UnreadableError: the body holds neither the input nor another key of a row.
    """
    given = {key: found for key in codec.row_keys if (found := getattr(body, key, msgspec.UNSET)) is not msgspec.UNSET}
    for key in codec.row_keys:
        if key in COUNT_QUERIES and (count := count_parameter(request, key, None)) is not None:
            given.setdefault(key, count)
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
    return dict(codec.row_key_schemas)


def required_keys(codec: Codec, schema: JsonSchema) -> JsonSchema:
    """Returns the schema of a body that needs not have its input, where another key of a row may stand for it."""
    if not codec.is_input_optional:
        return schema
    return {name: value for name, value in schema.items() if name != "required"}


def _keyed(row: object, given: Mapping[str, object], name: str) -> object:
    return {**given, **row} if isinstance(row, Mapping) else {name: row, **given}
