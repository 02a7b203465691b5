"""JSON Schemas of bodies, from examples and from the tensors of a signature, and how large a body they allow.

The largest body is the most rows of a model, times the size of a row, as the row's schema bounds it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from maas.records.signature import Datatype, TensorSpec
from maas.serving.faults import TooLargeError
from maas.serving.protocols.operation_documents import JsonSchema
from maas.serving.protocols.operations import LARGE_BODY_BYTES
from maas.serving.repository import PredictingDeployment

VALUE_BYTES = 64
"""Of a number in JSON, with what stands around it: an indented one takes half of that."""
ROOM_BYTES = 4096
"""For all that is not rows."""
ROOM_LISTS = 16_384
"""Of lists and objects, likewise: outputs that a client wants, for example."""
_ELEMENTS: dict[Datatype, str] = {
    "BOOL": "boolean", "UINT8": "integer", "INT8": "integer", "INT32": "integer", "INT64": "integer",
    "FP32": "number", "FP64": "number", "BYTES": "string",
}  # fmt: skip


class BodyBound(NamedTuple):
    """The most that a body of a model may hold.

    Args:
        rows: of one call.
        bytes: that they take as JSON.
        lists: and objects that they have.
    """

    rows: int
    bytes: int
    lists: int


_LARGEST: WeakKeyDictionary[PredictingDeployment, BodyBound | None] = WeakKeyDictionary()
"""The bound of a deployment's bodies, which a schema is read for once."""
_NAMES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def schema_like(example: object) -> dict[str, object]:
    """Returns the JSON Schema of values that are built like an example."""
    if isinstance(example, dict):
        properties = {name: schema_like(value) for name, value in example.items()}
        return {"type": "object", "required": list(properties), "properties": properties}
    if isinstance(example, list):
        kinds = {repr(kind): kind for kind in map(schema_like, example)}
        return {
            "type": "array",
            "items": next(iter(kinds.values()), {}) if len(kinds) < 2 else {"anyOf": [*kinds.values()]},
        }
    return {"type": _NAMES[type(example)]} if type(example) in _NAMES else {}


def object_schema(**properties: JsonSchema) -> dict[str, object]:
    """Returns the schema of an object that has all of some properties."""
    return {"type": "object", "required": list(properties), "properties": properties}


def one_of_forms(forms: JsonSchema, shared: JsonSchema) -> JsonSchema:
    """Returns the schema of an object that has exactly one of some properties, an alternative each.

    Args:
        forms: schemas of those properties, by name.
        shared: schemas of what may stand beside each, by name.
    """
    alternatives = [
        {"type": "object", "required": [name], "properties": {name: form, **shared}, "additionalProperties": False}
        for name, form in forms.items()
    ]
    return {"oneOf": alternatives}


def tensor_schema(spec: TensorSpec) -> JsonSchema:
    """Returns the JSON Schema of a tensor as the Open Inference Protocol writes it, data flat or nested."""
    properties: dict[str, object] = {
        "name": {"type": "string", "const": spec.name},
        "datatype": {"type": "string", "const": spec.datatype},
        "shape": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": len(spec.shape),
            "maxItems": len(spec.shape),
        },
        "data": _data_schema(spec),
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def served_row_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a row: the model's own; of several columns, also a list of their values in order."""
    row = deployment.processor.row_schema
    return {"anyOf": [row, cells_schema(deployment)]} if len(deployment.signature.inputs) > 1 else row


def cells_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a list of the values of a model's columns, in their order."""
    names = [spec.name for spec in deployment.signature.inputs]
    columns = [deployment.processor.row_schema["properties"][name] for name in names]
    return {"type": "array", "prefixItems": columns, "minItems": len(names), "maxItems": len(names)}


def instance_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a row of `instances`: the model's own, alone or by the name of its only input."""
    row, specs = deployment.processor.row_schema, deployment.signature.inputs
    if len(specs) > 1:
        return served_row_schema(deployment)
    forms: list[JsonSchema] = [row, example_schema(deployment)]
    if len(specs[0].shape) == 1:
        forms.append({"type": "array", "minItems": 1, "maxItems": 1, "items": row})
    return {"anyOf": forms}


def example_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a row by feature."""
    row, specs = deployment.processor.row_schema, deployment.signature.inputs
    if len(specs) > 1:
        return row
    return {**object_schema(**{specs[0].name: row}), "additionalProperties": False}


def require_body_size(body: bytes | bytearray, deployments: Iterable[PredictingDeployment]) -> None:
    """Refuses a body that is larger than the most rows of any of some models, before it is decoded.

    Raises:
        TooLargeError: it is larger, or large and holds more lists and objects than they do.
    """
    if len(body) <= ROOM_BYTES:
        return
    bounds: list[BodyBound] = []
    for one in deployments:
        bound = body_bound(one)
        if bound is None or len(body) <= bound.bytes:
            if bound is not None and len(body) > LARGE_BODY_BYTES:
                _require_few_lists(body, bound)
            return
        bounds.append(bound)
    largest = max(bounds, key=lambda bound: bound.bytes)
    raise TooLargeError(
        f"The body has {len(body):,} bytes; {largest.rows:,} rows of this model have at most {largest.bytes:,}. Send "
        "rows as the model takes them, fewer at a time."
    )


def most_body_bytes(deployments: Iterable[PredictingDeployment]) -> float:
    """Returns the largest body that `require_body_size` lets pass, as far as its bytes decide; infinite for any."""
    bounds = [body_bound(one) for one in deployments]
    known = [bound.bytes for bound in bounds if bound is not None]
    return max(ROOM_BYTES, *known) if len(known) == len(bounds) else math.inf


def _require_few_lists(body: bytes | bytearray, bound: BodyBound) -> None:
    """Refuses a large body of many small lists, each of which would take more memory than all of its bytes.

    Raises:
        TooLargeError: it holds more of them than the rows have.
    """
    found = body.count(b"[") + body.count(b"{")
    if found > bound.lists:
        raise TooLargeError(
            f"The body holds {found:,} lists and objects; {bound.rows:,} rows of this model have at most "
            f"{bound.lists:,}. Send rows as the model takes them, fewer at a time."
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


def most_lists(schema: JsonSchema) -> int:
    """Returns the most `[` and `{` in a value of a schema that bounds its size.

    A property's value may be a list of its own, as columns of shape [N, 1] are sent, and its name may hold such signs.
    """
    if isinstance(choices := schema.get("anyOf"), list):
        return max(map(most_lists, choices))
    size, items, properties = schema.get("maxItems"), schema.get("items"), schema.get("properties")
    if isinstance(items, Mapping) and isinstance(size, int):
        return 1 + size * most_lists(items)
    if isinstance(properties, Mapping):
        signs = sum(name.count("[") + name.count("{") for name in map(str, properties))
        return 1 + len(properties) + signs + sum(map(most_lists, properties.values()))
    return 0


def _data_schema(spec: TensorSpec) -> JsonSchema:
    """Returns the schema of a tensor's data: a list of its values, or lists nested as its shape."""
    value: JsonSchema = {"type": _ELEMENTS[spec.datatype]}
    flat: JsonSchema = {"type": "array", "items": value}
    nested = flat
    for size in reversed(spec.shape[1:]):
        nested = {"type": "array", "items": {**nested, **({"minItems": size, "maxItems": size} if size >= 0 else {})}}
    return flat if nested is flat else {"anyOf": [flat, nested]}


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


def body_bound(deployment: PredictingDeployment) -> BodyBound | None:
    """Returns the bound of a deployment's bodies; None where a row may have any size."""
    try:
        return _LARGEST[deployment]
    except KeyError:
        return keep_bound(deployment, _bounded_rows(deployment))


def keep_bound(deployment: PredictingDeployment, bound: BodyBound | None) -> BodyBound | None:
    """Keeps the bound of a deployment's bodies, and returns it: reading a schema for it takes time."""
    return _LARGEST.setdefault(deployment, bound)


def _bounded_rows(deployment: PredictingDeployment) -> BodyBound | None:
    rows, schema = deployment.engine.max_rows, deployment.processor.row_schema
    row = largest_value(schema)
    return None if row is None else BodyBound(rows, ROOM_BYTES + rows * row, ROOM_LISTS + rows * most_lists(schema))
