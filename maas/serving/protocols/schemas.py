"""JSON Schemas of bodies, from examples and from the tensors of a signature."""

from maas.records.signature import TensorSpec
from maas.serving.protocols.operations import JsonSchema

_NAMES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def schema_like(example: object) -> dict[str, object]:
    """Returns the JSON Schema of values that are built like an example."""
    if isinstance(example, dict):
        properties = {name: schema_like(value) for name, value in example.items()}
        return {"type": "object", "required": list(properties), "properties": properties}
    if isinstance(example, list):
        return {"type": "array", "items": schema_like(example[0]) if example else {}}
    return {"type": _NAMES[type(example)]} if type(example) in _NAMES else {}


def tensor_schema(spec: TensorSpec) -> JsonSchema:
    """Returns the JSON Schema of a tensor as the Open Inference Protocol writes it, data flat or nested."""
    properties: dict[str, object] = {
        "name": {"const": spec.name},
        "datatype": {"const": spec.datatype},
        "shape": {"type": "array", "items": {"type": "integer"}, "minItems": len(spec.shape)},
        "data": {"type": "array"},
    }
    return {"type": "object", "required": list(properties), "properties": properties}
