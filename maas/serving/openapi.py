"""OpenAPI 3.1, made from operations and the models of a snapshot."""

import re
from collections.abc import Sequence

from maas.serving.protocols.operations import AnyOperation, Content, QueryParameter, common_fault
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Snapshot


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
        "components": {"schemas": {_error_name(one): _error_schema(one) for one in operations}},
    }


def operation_id(operation: AnyOperation) -> str:
    """Returns what generated clients call an operation: its method and path in snake_case."""
    return "_".join([operation.method.lower(), *re.findall(r"\w+", operation.path)])


def _described(operation: AnyOperation, snapshot: Snapshot) -> dict[str, object]:
    document = operation.document(snapshot)
    described: dict[str, object] = {
        "operationId": operation_id(operation),
        "tags": [operation.protocol],
        "summary": operation.summary,
        "responses": {
            "200": {"description": "the answer", "content": _content(document.response)},
            "default": {"description": "an error", "content": {"application/json": {"schema": _error(operation)}}},
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


def _error(operation: AnyOperation) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{_error_name(operation)}"}


def _error_name(operation: AnyOperation) -> str:
    """Returns the name of a protocol's form of an error; those in the common form share one."""
    form = operation.fault("kind", "message")
    return "Error" if form == common_fault("kind", "message") else f"{operation.protocol}_error"


def _error_schema(operation: AnyOperation) -> dict[str, object]:
    """Returns the form of an error; a failure of the server has the id of its entry in the log beside it."""
    form = {**operation.fault("kind", "message"), "id": ""}
    return {**schema_like(form), "required": [name for name in form if name != "id"]}
