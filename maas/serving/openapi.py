"""OpenAPI 3.1, made from the route table and the served model's signature."""

from collections.abc import Sequence
from typing import Any

from maas.records.signature import TensorSpec
from maas.serving.routing import Content, Route

_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string", "description": "what is wrong, and what to do"},
        "code": {"type": "string", "description": "the kind of error, in snake_case"},
        "id": {"type": "string", "description": "of the log entry, where the server failed"},
    },
}


def document(routes: Sequence[Route], *, title: str, version: str, description: str) -> dict[str, Any]:
    """Returns the description of all routes.

    Args:
        routes: the server's routes.
        title: the model's name.
        version: the model's version.
        description: what the model is.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def tensor_schema(spec: TensorSpec, *, with_data: bool = True) -> dict[str, Any]:
    """Returns the JSON Schema of a tensor as the Open Inference Protocol writes it, data flat or nested."""
    properties: dict[str, Any] = {
        "name": {"const": spec.name},
        "datatype": {"const": spec.datatype},
        "shape": {"type": "array", "items": {"type": "integer"}, "minItems": len(spec.shape)},
    }
    if with_data:
        properties["data"] = {"type": "array"}
    return {"type": "object", "required": list(properties), "properties": properties}


def schema_like(example: Any) -> dict[str, Any]:
    """Returns the JSON Schema of values that are built like an example."""
    if isinstance(example, dict):
        properties = {name: schema_like(value) for name, value in example.items()}
        return {"type": "object", "required": list(properties), "properties": properties}
    if isinstance(example, list):
        return {"type": "array", "items": schema_like(example[0]) if example else {}}
    names: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {"type": names[type(example)]} if type(example) in names else {}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "responses": {
            "200": {"description": "the answer", "content": _content(route.response)},
            "default": {"description": "an error", "content": {"application/json": {"schema": _reference("Error")}}},
        },
    }
    if route.values:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": value}
            for name, value in route.values
        ]
    if route.request is not None:
        files = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in route.files}
        operation["requestBody"] = {"required": True, "content": {**_content(route.request), **files}}
    return operation


def _content(content: Content) -> dict[str, Any]:
    return {content.media_type: {"schema": content.schema, "example": content.example}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
