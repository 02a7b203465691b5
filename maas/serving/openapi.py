"""OpenAPI 3.1, made from operations and the models of a snapshot."""

from collections.abc import Sequence

from maas.serving.protocols.operations import AnyOperation, Content, QueryParameter
from maas.serving.repository import Snapshot

_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string", "description": "what is wrong, and what to do"},
        "code": {"type": "string", "description": "the kind of error, in snake_case"},
        "id": {"type": "string", "description": "of the log entry, where the server failed"},
    },
}


def openapi_document(operations: Sequence[AnyOperation], snapshot: Snapshot) -> dict[str, object]:
    """Returns the description of all operations.

    Args:
        operations: of the server.
        snapshot: models that they serve; the first names the document.
    """
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, snapshot)
    manifest = snapshot.first.bundle.manifest
    description = f"{manifest.task}, {manifest.precision}, from recipe {manifest.lineage.recipe}."
    return {
        "openapi": "3.1.0",
        "info": {"title": snapshot.first.name, "version": snapshot.first.version, "description": description},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _described(operation: AnyOperation, snapshot: Snapshot) -> dict[str, object]:
    document = operation.document(snapshot)
    described: dict[str, object] = {
        "summary": operation.summary,
        "responses": {
            "200": {"description": "the answer", "content": _content(document.response)},
            "default": {"description": "an error", "content": {"application/json": {"schema": _reference("Error")}}},
        },
    }
    if document.values or document.query:
        described["parameters"] = [*map(_path_parameter, document.values), *map(_query_parameter, document.query)]
    if document.request is not None:
        files = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in document.files}
        described["requestBody"] = {"required": True, "content": {**_content(document.request), **files}}
    return described


def _path_parameter(value: tuple[str, str]) -> dict[str, object]:
    name, example = value
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": example}


def _query_parameter(parameter: QueryParameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "schema": parameter.schema,
        "description": parameter.description,
    }


def _content(content: Content) -> dict[str, object]:
    return {content.media_type: {"schema": content.schema, "example": content.example}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
