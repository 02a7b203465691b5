"""Plain REST: `POST /v1/<task>` with the input by its name, and `POST /predict` with rows.

    POST /v1/text-classification   {"text": "…"}              → {"label": "positive", "score": 0.98}
    POST /v1/text-classification   {"text": ["…", "…"]}       → [{"label": …}, {"label": …}]
    POST /v1/image-classification  the bytes of a PNG file    → {"label": "bag", "score": 0.99}
    POST /predict                  {"input_data": [[0, 1]]}   → {"predictions": [[0.1, 0.9]]}

Whether JSON holds one input or several is decided by the declared shape of one; `/openapi.json` has the rule of each
model. JSON takes `model` and `version` beside the input; without them the task's first model answers. A file is one row
as it stands, where its content type is one that the model reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from maas.runtime.codec import Outputs
from maas.serving.call import Call, Row, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import MediaTypeError, UnreadableError
from maas.serving.protocols.bodies import decode, encode, encoded_list
from maas.serving.protocols.operations import (
    AnyOperation,
    Content,
    Inference,
    JsonSchema,
    OperationDocument,
    Rendered,
    Request,
)
from maas.serving.protocols.schemas import require_body_size, schema_like
from maas.serving.repository import Deployment, Snapshot

ROWS = "input_data"
LARGE_FILE_BYTES, LARGE_FILE_PIXELS = 256 * 2**10, 10**6
_CHOICE: JsonSchema = {"model": {"type": "string"}, "version": {"type": ["string", "integer"]}}


class RestCall(Call, frozen=True, kw_only=True):
    """A call that may hold one input rather than a list of them.

    Args:
        is_many: whether the reply is a list.
    """

    is_many: bool = True


class _Body(Protocol):
    """What a body holds, whatever the name of its input."""

    value: object
    model: str | None
    version: str | int | None


def rest_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns one operation for each task, and `/predict`."""
    return [*map(TaskOperation, snapshot.by_task), PredictOperation()]


class TaskOperation(Inference[RestCall]):
    """Predictions for people: labels, values.

    Args:
        task: that the models solve.
    """

    protocol = "rest"
    call_type = RestCall

    def __init__(self, task: str) -> None:
        self.path = f"/v1/{task}"
        self.task = task
        self.summary = "Answers one input by its name, or a list of them."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether a request is large; a file may have more bytes than JSON, as its decoder lets others work."""
        processor = snapshot.by_task[self.task].processor
        if request.media_type not in processor.media_types:
            return super().is_large(request, snapshot)
        return len(request.body) > LARGE_FILE_BYTES or processor.pixels_to_decode(request.body) > LARGE_FILE_PIXELS

    def parse(self, request: Request, snapshot: Snapshot) -> RestCall:
        """Returns a call with one row or several, or with the file that the body is."""
        first = snapshot.by_task[self.task]
        kind = request.media_type
        if kind in first.processor.media_types:
            request.model = first.name
            rows = RowList([request.body])
            return RestCall(model=first.name, inputs=rows, size_bytes=len(request.body), is_many=False)
        _refuse_files(kind, first)
        require_body_size(request.body, snapshot.deployments)
        body = _read(request, first.processor.input_name, None, first)
        deployment = _found(body, request, snapshot, first)
        is_many = deployment.processor.is_many(body.value)
        rows = RowList(body.value if is_many and isinstance(body.value, list) else [body.value])
        return RestCall(
            model=deployment.name, version=_version(body), inputs=rows, size_bytes=len(request.body), is_many=is_many
        )

    def render(self, call: RestCall, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns one prediction for one input, and a list of them for a list."""
        predictions = deployment.postprocessor.predictions
        if not call.is_many:
            return Rendered(iter((encode(predictions(outputs)[0]),)))
        return Rendered(encoded_list(map(predictions, slices(outputs))))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the task's first model."""
        first = snapshot.by_task[self.task]
        processor, golden = first.processor, first.bundle.golden
        row, prediction = processor.row_schema, schema_like(golden.predictions[0])
        value = {"anyOf": [row, {"type": "array", "minItems": 1, "items": row}], "description": processor.rows_rule}
        return OperationDocument(
            Content({"oneOf": [prediction, {"type": "array", "items": prediction}]}, golden.predictions[0]),
            Content(_object_schema(processor.input_name, value), {processor.input_name: golden.inputs[0]}),
            files=processor.media_types,
        )


class PredictOperation(Inference[RestCall]):
    """Scores for machines."""

    protocol = "rest"
    call_type = RestCall
    path = "/predict"
    summary = "Answers rows with the model's scores."

    def parse(self, request: Request, snapshot: Snapshot) -> RestCall:
        """Returns a call with the rows."""
        first = snapshot.first
        require_body_size(request.body, snapshot.deployments)
        body = _read(request, ROWS, list, first)
        deployment = _found(body, request, snapshot, first)
        rows: list[Row] = body.value if isinstance(body.value, list) else []
        return RestCall(
            model=deployment.name, version=_version(body), inputs=RowList(rows), size_bytes=len(request.body)
        )

    def render(self, call: RestCall, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns the scores of each row."""
        scores = deployment.postprocessor.scores
        if len(call.inputs) == 1:
            return Rendered(iter((encode({"predictions": scores(outputs).tolist()}),)))
        return Rendered(_predictions(scores(part).tolist() for part in slices(outputs)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        golden = first.bundle.golden
        reply = {"predictions": golden.scores[:1]}
        rows = {"type": "array", "minItems": 1, "items": first.processor.row_schema}
        return OperationDocument(
            Content(schema_like(reply), reply), Content(_object_schema(ROWS, rows), {ROWS: golden.inputs[:1]})
        )


def _predictions(scores: Iterable[Sequence[object]]) -> Iterator[bytes]:
    yield b'{"predictions":'
    yield from encoded_list(scores)
    yield b"}"


@lru_cache(maxsize=64)
def _decoder(name: str, kind: type | None) -> "msgspec.json.Decoder[_Body]":
    """Returns a decoder of bodies that hold their input by a name."""
    body = msgspec.defstruct(
        "Body",
        [
            ("value", list[object] if kind is list else object),
            ("model", str | None, None),
            ("version", str | int | None, None),
        ],
        rename={"value": name},
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(body)


def _read(request: Request, name: str, kind: type | None, first: Deployment) -> _Body:
    try:
        return decode(_decoder(name, kind), request.body)
    except UnreadableError as error:
        golden = first.bundle.golden.inputs
        example = {name: golden[:1] if kind is list else golden[0]}
        raise UnreadableError(f"{error} like {example_text(example)}") from None


def _version(body: _Body) -> str | None:
    return None if body.version is None else str(body.version)


def _found(body: _Body, request: Request, snapshot: Snapshot, first: Deployment) -> Deployment:
    """Returns the deployment that a body names."""
    found = (
        first
        if body.model is None and body.version is None
        else snapshot.find(body.model or first.name, _version(body))
    )
    request.model = found.name
    return found


def _refuse_files(kind: str, first: Deployment) -> None:
    if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
        known = ", ".join(sorted({"application/json", *first.processor.media_types}))
        raise MediaTypeError(f"The body is of type {kind}; this route reads {known}.")


def _object_schema(key: str, value: JsonSchema) -> JsonSchema:
    properties = {key: value, **_CHOICE}
    return {"type": "object", "required": [key], "properties": properties, "additionalProperties": False}
