"""Plain REST: `POST /v1/<task>` with the input by its name, and `POST /predict` with rows.

    POST /v1/text-classification   {"text": "…"}              → {"label": "positive", "score": 0.98}
    POST /v1/text-classification   {"text": ["…", "…"]}       → [{"label": …}, {"label": …}]
    POST /v1/image-classification  the bytes of a PNG file    → {"label": "bag", "score": 0.99}
    POST /v1/TASK?top_k=2          {"text": "…"}              → {"label": …, "scores": {"positive": 0.98, …}, …}
    GET  /v1/TASK/labels                                      → {"labels": ["negative", "positive"], …}
    POST /v1/translate             {"text": "…", "beams": 4}  → {"translation": "…", "log_probability": -0.1}
    POST /v1/recommend             {"items": ["a"], "top_k": 5} → {"items": [{"item": "b", "score": 2.1}], "by": …}
    POST /predict                  {"input_data": [[0, 1]]}   → {"predictions": [[0.1, 0.9]]}

Whether JSON holds one input or several is decided by the declared shape of one; `/openapi.json` has the rule of each
model. `model` and `version` stand beside the input or in the query; without them the task's first model answers.
`top_k=K` adds the K best scores by label, `scores=true` all of them in the labels' order. A file is one row as it
stands, where its content type is one that the model reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol, cast

import msgspec

from maas.runtime.codec import Outputs
from maas.serving.call import Call, Row, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode, encoded_list, is_large_file, refuse_files
from maas.serving.protocols.labels import SCORES_SCHEMA, LabelsPage, prediction_maker, top_k_of
from maas.serving.protocols.number_rows import number_rows, takes_number_rows
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import (
    AnyOperation,
    Inference,
    Rendered,
    Request,
    RowReader,
)
from maas.serving.protocols.parameters import (
    MODEL_PROPERTIES,
    MODEL_QUERY,
    SCORES_PROPERTIES,
    SCORES_QUERY,
    VersionName,
    WholeCount,
    chosen_deployment,
)
from maas.serving.protocols.rest_rows import prediction_reader, score_reader
from maas.serving.protocols.row_keys import COUNT_QUERIES, keyed_schemas, keyed_value, required_keys
from maas.serving.protocols.schemas import most_body_bytes, require_body_size, schema_like, served_row_schema
from maas.serving.repository import PredictingDeployment, Snapshot

ROWS = "input_data"
OTHER_PATHS = {"translation": "/v1/translate"}
"""Of tasks that people know by a verb."""


class RestCall(Call, frozen=True, kw_only=True):
    """A call that may hold one input rather than a list of them.

    Args:
        is_many: whether the reply is a list.
        top_k: number of scores by label that the caller wants beside each prediction, 0 for all; null for none.
    """

    is_many: bool = True
    top_k: int | None = None


class _Body(Protocol):
    """What a body holds, whatever the name of its input."""

    value: object
    model: str | None
    version: VersionName | None
    top_k: WholeCount | None
    scores: bool | None


def rest_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns one operation for each task, its labels if its model has some, and `/predict`."""
    labelled = [task for task, first in snapshot.by_task.items() if first.postprocessor.labels]
    others = [TaskOperation(task, path) for task, path in OTHER_PATHS.items() if task in snapshot.by_task]
    return [*map(TaskOperation, snapshot.by_task), *others, PredictOperation(), *map(LabelsPage, labelled)]


class TaskOperation(Inference[RestCall]):
    """Predictions for people: labels, values.

    Args:
        task: that the models solve.
        path: where else than at the task's own path it is found.
    """

    protocol = "rest"
    call_type = RestCall

    def __init__(self, task: str, path: str | None = None) -> None:
        self.path = path or f"/v1/{task}"
        self.task = task
        self.summary = "Answers one input by its name, or a list of them."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether a request is large; a file may have more bytes than JSON, as its decoder lets others work."""
        processor = snapshot.for_task(self.task).processor
        if request.media_type not in processor.media_types:
            return super().is_large(request, snapshot)
        return is_large_file(request.body, processor)

    def parse(self, request: Request, snapshot: Snapshot) -> RestCall:
        """Returns a call with one row or several, or with the file that the body is."""
        first = snapshot.for_task(self.task)
        kind = request.media_type
        if kind in first.processor.media_types:
            return self._call(request, snapshot, None)
        refuse_files(kind, first.processor)
        require_body_size(request.body, snapshot.predicting)
        return self._call(request, snapshot, _read(request, first.processor.input_name, None, first))

    def row_reader(self, request: Request, snapshot: Snapshot) -> RowReader | None:
        """Returns what reads one row of numbers.

        Raises:
            InputError: no model solves the task, or the body is a file that it does not read.
        """
        first, kind = snapshot.for_task(self.task), request.media_type
        if request.query or kind in first.processor.media_types:
            return None
        refuse_files(kind, first.processor)
        return prediction_reader(first, most_body_bytes(snapshot.predicting))

    def _call(self, request: Request, snapshot: Snapshot, body: _Body | None) -> RestCall:
        """Returns the call of a body, or of the file that the body is."""
        first = snapshot.for_task(self.task)
        model, version = (None, None) if body is None else (body.model, body.version)
        deployment, wanted = chosen_deployment(request, snapshot, first, model, version)
        value = request.body if body is None else body.value
        if first.processor.row_keys:
            value, top_k = keyed_value(body, value, request, first.processor), None
        else:
            scores = (None, None) if body is None else (body.top_k, body.scores)
            top_k = top_k_of(request, *scores, deployment)
        is_many = body is not None and deployment.processor.is_many(value)
        return RestCall(
            model=deployment.name,
            version=wanted,
            inputs=RowList(value if is_many and isinstance(value, list) else [value]),
            size_bytes=len(request.body),
            is_many=is_many,
            top_k=top_k,
        )

    def render(self, call: RestCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns one prediction for one input, and a list of them for a list; with scores where they are wanted."""
        predictions = prediction_maker(deployment, call.top_k)
        if not call.is_many:
            return Rendered(iter((encode(predictions(outputs)[0]),)))
        return Rendered(encoded_list(map(predictions, slices(outputs))))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the task's first model."""
        first = snapshot.for_task(self.task)
        processor, golden = first.processor, first.bundle.golden
        row, prediction = served_row_schema(first), _with_scores(schema_like(golden.predictions[0]), first)
        value = {"anyOf": [row, {"type": "array", "minItems": 1, "items": row}], "description": processor.rows_rule}
        more = SCORES_PROPERTIES if first.postprocessor.labels else keyed_schemas(processor)
        keys = tuple(COUNT_QUERIES[key] for key in processor.row_keys if key in COUNT_QUERIES)
        counts = SCORES_QUERY if first.postprocessor.labels else keys
        return OperationDocument(
            Content({"oneOf": [prediction, {"type": "array", "items": prediction}]}, golden.predictions[0]),
            Content(
                required_keys(processor, _object_schema(processor.input_name, value, more)),
                {processor.input_name: golden.inputs[0]},
            ),
            files=processor.media_types,
            query=MODEL_QUERY + counts,
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
        require_body_size(request.body, snapshot.predicting)
        if takes_number_rows(first) and not request.query:
            numbers = number_rows(request.body, ROWS)
            if numbers is not None:
                request.model = first.name
                rows = cast("Sequence[Row]", numbers)  # it is read as a sequence of its rows
                return RestCall(model=first.name, inputs=RowList(rows), size_bytes=len(request.body))
        body = _read(request, ROWS, list, first)
        deployment, wanted = chosen_deployment(request, snapshot, first, body.model, body.version)
        inputs = RowList(body.value if isinstance(body.value, list) else [])
        return RestCall(model=deployment.name, version=wanted, inputs=inputs, size_bytes=len(request.body))

    def row_reader(self, request: Request, snapshot: Snapshot) -> RowReader | None:
        """Returns what reads rows of numbers."""
        first = snapshot.first
        return None if request.query else score_reader(first, ROWS, most_body_bytes(snapshot.predicting))

    def render(self, call: RestCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
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
        rows = {"type": "array", "minItems": 1, "items": served_row_schema(first)}
        return OperationDocument(
            Content(schema_like(reply), reply),
            Content(_object_schema(ROWS, rows, {}), {ROWS: golden.inputs[:1]}),
            query=MODEL_QUERY,
        )


def _predictions(scores: Iterable[Sequence[object]]) -> Iterator[bytes]:
    yield b'{"predictions":'
    yield from encoded_list(scores)
    yield b"}"


@lru_cache(maxsize=64)
def _decoder(
    name: str, kind: type | None, row_keys: tuple[str, ...], *, is_optional: bool
) -> "msgspec.json.Decoder[_Body]":
    """Returns a decoder of bodies that hold their input by a name, or other keys of a row."""
    scores = [("top_k", WholeCount | None, None), ("scores", bool | None, None)]
    keys = [(key, object, msgspec.UNSET) for key in row_keys]
    body = msgspec.defstruct(
        "Body",
        [
            ("value", object, msgspec.UNSET) if is_optional else ("value", list[object] if kind is list else object),
            ("model", str | None, None),
            ("version", VersionName | None, None),
            *(keys or (scores if kind is None else [])),
        ],
        rename={"value": name},
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(body)


def _read(request: Request, name: str, kind: type | None, first: PredictingDeployment) -> _Body:
    try:
        row_keys = first.processor.row_keys if kind is None else ()
        decoder = _decoder(name, kind, row_keys, is_optional=bool(row_keys) and first.processor.is_input_optional)
        return decode(decoder, request.body)
    except UnreadableError as error:
        golden = first.bundle.golden.inputs
        example = {name: golden[:1] if kind is list else golden[0]}
        raise UnreadableError(f"{error} like {example_text(example)}") from None


def _with_scores(prediction: dict[str, object], deployment: PredictingDeployment) -> dict[str, object]:
    """Returns the schema of a prediction, with the scores that a caller may want."""
    properties = prediction["properties"]
    if not deployment.postprocessor.labels or not isinstance(properties, dict):
        return prediction
    return {**prediction, "properties": {**properties, "scores": SCORES_SCHEMA}}


def _object_schema(key: str, value: JsonSchema, more: JsonSchema) -> JsonSchema:
    properties = {key: value, **MODEL_PROPERTIES, **more}
    return {"type": "object", "required": [key], "properties": properties, "additionalProperties": False}
