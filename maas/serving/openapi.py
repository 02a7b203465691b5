"""OpenAPI 3.1, made from operations and the models of a snapshot."""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument, QueryParameter
from maas.serving.protocols.operations import EVENT_STREAM, AnyOperation, Generating, common_fault
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Deployment, Snapshot


def openapi_document(operations: Sequence[AnyOperation], snapshot: Snapshot) -> dict[str, object]:
    """Returns the description of all operations.

    Args:
        operations: of the server.
        snapshot: models that they serve.
    """
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, snapshot)
    first = snapshot.default
    return {
        "openapi": "3.1.0",
        "info": {
            "title": ", ".join(dict.fromkeys(one.name for one in snapshot.deployments)),
            "version": first.version,
            "description": "\n\n".join(_model(one, snapshot) for one in snapshot.deployments),
        },
        "paths": paths,
        "components": {"schemas": {_error_name(one): _error_schema(one) for one in operations}},
    }


def _model(deployment: Deployment, snapshot: Snapshot) -> str:
    """Returns a sentence on one of the models."""
    manifest, version = deployment.bundle.manifest, snapshot.shown_version(deployment)
    made = f"{manifest.task}, {manifest.precision}, from recipe {manifest.lineage.recipe}"
    return f"{deployment.name} version {version}: {made}."


def document_for_all(operation: AnyOperation, snapshot: Snapshot) -> OperationDocument:
    """Returns an operation's document with the schemas of all models, and with the first one's examples."""
    documents = [operation.document(snapshot.led_by(one)) for one in snapshot.kinds] or [operation.document(snapshot)]
    first = documents[0]
    requests = [document.request for document in documents if document.request is not None]
    return replace(
        first,
        response=_any_of([document.response for document in documents]),
        request=_any_of(requests) if requests else None,
        files=tuple(dict.fromkeys(kind for document in documents for kind in document.files)),
    )


def _any_of(contents: Sequence[Content]) -> Content:
    schemas = list[JsonSchema]()
    for content in contents:
        if content.schema not in schemas:
            schemas.append(content.schema)
    return contents[0] if len(schemas) == 1 else replace(contents[0], schema={"anyOf": schemas})


def operation_id(operation: AnyOperation) -> str:
    """Returns what generated clients call an operation: its method and path in snake_case."""
    return "_".join([operation.method.lower(), *re.findall(r"\w+", operation.path)])


def _described(operation: AnyOperation, snapshot: Snapshot) -> dict[str, object]:
    document = document_for_all(operation, snapshot)
    described: dict[str, object] = {
        "operationId": operation_id(operation),
        "tags": [operation.protocol],
        "summary": operation.summary,
        "responses": {
            "200": {"description": "the answer", "content": {**_events(operation), **_content(document.response)}},
            "default": {
                "description": "an error",
                "content": {operation.fault_type.decode(): {"schema": _error(operation)}},
            },
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
    described: dict[str, object] = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required is not None,
        "schema": parameter.schema,
        "description": parameter.description,
    }
    return described if parameter.required is None else {**described, "example": parameter.required}


def _content(content: Content) -> dict[str, object]:
    return {content.media_type: {"schema": content.schema, "example": content.example}}


def _events(operation: AnyOperation) -> dict[str, object]:
    """Returns the form of an answer that comes as events, if a caller may want it so."""
    if not (isinstance(operation, Generating) and operation.may_stream):
        return {}
    return {EVENT_STREAM: {"schema": {"description": "events, a part of the answer each"}}}


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
