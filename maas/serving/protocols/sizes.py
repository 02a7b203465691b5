"""How large a body can be that a model takes: its most rows, times the size of a row, as the row's schema bounds it."""

from collections.abc import Iterable, Mapping

from maas.serving.faults import TooLargeError
from maas.serving.protocols.operations import JsonSchema
from maas.serving.repository import Deployment

VALUE_BYTES = 64
"""Of a number in JSON, with what stands around it: an indented one takes half of that."""
ROOM_BYTES = 4096
"""For all that is not rows."""


def require_size(body: bytes | bytearray, deployments: Iterable[Deployment]) -> None:
    """Refuses a body that is larger than the most rows of any of some models, before it is decoded.

    Raises:
        TooLargeError: it is larger.
    """
    if len(body) <= ROOM_BYTES:
        return
    limits = [_largest_rows(one) for one in deployments]
    if None in limits:
        return
    rows, largest = max((limit for limit in limits if limit is not None), key=lambda limit: limit[1])
    if len(body) > largest:
        raise TooLargeError(
            f"The body has {len(body):,} bytes; {rows:,} rows of this model have at most {largest:,}. Send rows as the "
            "model takes them, fewer at a time."
        )


def largest_value(schema: JsonSchema) -> int | None:
    """Returns the most bytes that a value of a schema has in JSON; None where nothing bounds it."""
    if isinstance(choices := schema.get("anyOf"), list):
        return _most(largest_value(choice) for choice in choices)
    kind = schema.get("type")
    if kind == "array":
        size, items = schema.get("maxItems"), schema.get("items")
        each = largest_value(items) if isinstance(items, Mapping) else None
        return VALUE_BYTES + size * each if isinstance(size, int) and each is not None else None
    if kind == "object":
        return _largest_object(schema)
    kinds = kind if isinstance(kind, list) else [kind]
    return VALUE_BYTES if set(kinds) <= {"number", "integer", "boolean", "null"} else None


def _largest_object(schema: JsonSchema) -> int | None:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
        return None
    sizes = [largest_value(value) for value in properties.values()]
    if None in sizes:
        return None
    names = sum(6 * len(name) for name in properties)  # escaped
    return VALUE_BYTES + names + sum(size for size in sizes if size is not None)


def _most(sizes: Iterable[int | None]) -> int | None:
    found = list(sizes)
    return None if None in found else max(size for size in found if size is not None)


def _largest_rows(deployment: Deployment) -> tuple[int, int] | None:
    """Returns the most rows of a call, and the bytes that they take; None where a row may have any size."""
    rows, row = deployment.engine.max_rows, largest_value(deployment.processor.row_schema)
    return None if row is None else (rows, ROOM_BYTES + rows * row)
