"""What a row of a model is, for those who make forms of it: `GET /v1/schema?model=NAME` and its inputs one by one."""

from collections.abc import Mapping

from msgspec.json import encode as encoded

from maas.runtime.codec import Codec
from maas.runtime.processors.combined import CombinedProcessor
from maas.serving.call import Row
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.protocols.parameters import MODEL_QUERY
from maas.serving.protocols.schemas import object_schema
from maas.serving.repository import Deployment, GeneratingDeployment, PredictingDeployment, Snapshot

EXAMPLES_BYTES = 256 * 2**10
"""Of all golden rows that are shown: pictures and sounds are long."""


def row_schemas_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  its path names no model
    """Returns the operation."""
    return [RowSchemaPage()]


class RowSchemaPage(Page):
    """The inputs of a model, with their schemas and examples."""

    protocol = "row_schemas"
    path = "/v1/schema"
    summary = "Describes a model's inputs, with examples."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns those of the model that the query names, or of the default one."""
        name = request.query.get("model") or snapshot.default.name
        found = snapshot.find_any(name, request.query.get("version"))
        request.model = found.name
        return Reply(encode(_described(found)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those of the first model as an example."""
        text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
        one = object_schema(name=text, modality=text, media_types=texts, schema={"type": "object"})
        schema = object_schema(
            model=text,
            version=text,
            task=text,
            name={**text, "description": "of a row, in the body of /v1/TASK"},
            inputs={"type": "array", "items": one},
            labels=texts,
            examples={"type": "array", "items": {}, "description": "rows that work"},
        )
        return OperationDocument(Content(schema, _described(snapshot.default)), query=MODEL_QUERY)


def _described(deployment: Deployment) -> dict[str, object]:
    if isinstance(deployment, GeneratingDeployment):
        return _described_prompt(deployment)
    if not isinstance(deployment, PredictingDeployment):
        raise TypeError(f"{type(deployment).__name__} has no inputs.")
    processor = deployment.processor
    parts: Mapping[str, Codec] = processor.parts if isinstance(processor, CombinedProcessor) else {}
    return {
        "model": deployment.name,
        "version": deployment.version,
        "task": deployment.task,
        "name": processor.input_name,
        "inputs": [_input(name, part) for name, part in parts.items()] or [_input(processor.input_name, processor)],
        "labels": list(deployment.postprocessor.labels),
        "examples": _shown(deployment.bundle.golden.inputs),
    }


def _described_prompt(deployment: GeneratingDeployment) -> dict[str, object]:
    """Returns the prompt of a model that generates, and whether it is a message of a conversation."""
    text = {"type": "string", "minLength": 1}
    return {
        "model": deployment.name,
        "version": deployment.version,
        "task": deployment.task,
        "name": "prompt",
        "inputs": [{"name": "prompt", "modality": "text", "media_types": [], "schema": text}],
        "labels": [],
        "examples": list(deployment.example_prompts),
        "conversations": deployment.generator.has_chat_template,
    }


def _input(name: str, processor: Codec) -> JsonSchema:
    return {
        "name": name,
        "modality": processor.modality,
        "media_types": list(processor.media_types),
        "schema": processor.row_schema,
    }


def _shown(rows: list[Row]) -> list[Row]:
    """Returns the first of some rows, as many as are not too long together."""
    shown, size = list[Row](), 0
    for row in rows[:6]:
        size += len(encoded(row))
        if size > EXAMPLES_BYTES:
            break
        shown.append(row)
    return shown
