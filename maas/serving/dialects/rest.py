"""Plain REST: `POST /v1/<task>` with the input by its name, and `POST /predict` with rows.

    POST /v1/text-classification   {"text": "…"}              → {"label": "positive", "score": 0.98}
    POST /v1/text-classification   {"text": ["…", "…"]}       → [{"label": …}, {"label": …}]
    POST /v1/image-classification  the bytes of a PNG file    → {"label": "bag", "score": 0.99}
    POST /predict                  {"input_data": [[0, 1]]}   → {"predictions": [[0.1, 0.9]]}

Whether JSON holds one input or several is decided by the declared shape of one; `/openapi.json` says the rule of each
model. JSON takes `model` and `version` beside the input; without them the task's first model answers. A file is one row
as it stands, where its content type says so.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from maas.serving.dataplane import DataPlane, ServedModel
from maas.serving.faults import MediaTypeError
from maas.serving.messages import Request, Response
from maas.serving.openapi import schema_like
from maas.serving.payload import decode, encode, example_text
from maas.serving.routing import Content, Handler, Route

Answering = Callable[[DataPlane, ServedModel, Any], Awaitable[Any]]

_CHOICE: tuple[tuple[str, Any, Any], ...] = (
    ("model", str | None, None),
    ("version", str | int | None, None),
)
_CHOICE_SCHEMA = {"model": {"type": "string"}, "version": {"type": ["string", "integer"]}}


def routes(plane: DataPlane) -> list[Route]:
    """Returns one route for each task, and `/predict`."""
    models = list(plane.models.values())
    first_of_task = {model.bundle.manifest.task: model for model in reversed(models)}
    return [*(_task_route(plane, model) for model in first_of_task.values()), _predict_route(plane, models[0])]


def _task_route(plane: DataPlane, first: ServedModel) -> Route:
    processor = first.predictor.processor
    key, golden = processor.input_name, first.bundle.golden
    example = {key: golden.inputs[0]}
    row, answer = processor.row_schema, schema_like(golden.predictions[0])
    value = {"anyOf": [row, {"type": "array", "minItems": 1, "items": row}], "description": processor.rows_rule}
    return Route(
        "POST",
        f"/v1/{first.bundle.manifest.task}",
        _file_or_json(plane, first, _handler(plane, first, (key, Any), example, answer_task)),
        f"Answers one input under “{key}”, or a list of them.",
        Content({"oneOf": [answer, {"type": "array", "items": answer}]}, golden.predictions[0]),
        Content(_object_schema(key, value), example),
        files=processor.media_types,
    )


def _predict_route(plane: DataPlane, first: ServedModel) -> Route:
    golden = first.bundle.golden
    example = {"input_data": golden.inputs[:1]}
    answer = {"predictions": golden.scores[:1]}
    rows = {"type": "array", "minItems": 1, "items": first.predictor.processor.row_schema}
    return Route(
        "POST",
        "/predict",
        _handler(plane, first, ("input_data", list[Any]), example, answer_predict),
        "Answers rows with the model's plain numbers.",
        Content(schema_like(answer), answer),
        Content(_object_schema("input_data", rows), example),
    )


def _object_schema(key: str, value: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value, **_CHOICE_SCHEMA}
    return {"type": "object", "required": [key], "properties": properties, "additionalProperties": False}


def _handler(
    plane: DataPlane, first: ServedModel, field: tuple[str, Any], example: dict[str, Any], answer: Answering
) -> Handler:
    body = msgspec.defstruct("Body", [field, *_CHOICE], forbid_unknown_fields=True)
    decoder = msgspec.json.Decoder(body)
    text = example_text(example)

    async def handle(request: Request) -> Response:
        asked: Any = decode(decoder, request.body, text)
        version = None if asked.version is None else str(asked.version)
        model = plane.find(asked.model or first.name, version)
        request.model = model.name
        return Response(encode(await answer(plane, model, getattr(asked, field[0]))))

    return handle


def _file_or_json(plane: DataPlane, first: ServedModel, handle_json: Handler) -> Handler:
    """Answers a body that is a file of a kind that the model reads; leaves all others to JSON."""
    known = frozenset(first.predictor.processor.media_types)

    async def handle(request: Request) -> Response:
        kind = request.media_type
        if kind in known:
            request.model = first.name
            return Response(encode(await answer_task(plane, first, request.body)))
        if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
            raise MediaTypeError(
                f"The body is of type {kind}; this route reads {', '.join(sorted({'application/json', *known}))}."
            )
        return await handle_json(request)

    return handle


async def answer_task(plane: DataPlane, model: ServedModel, value: Any) -> Any:
    """Returns one answer for one input, and a list of answers for a list of inputs."""
    is_many = model.predictor.processor.is_many(value)
    outputs = await plane.infer(model, value if is_many else [value])
    answers = model.predictor.postprocessor.predictions(outputs)
    return answers if is_many else answers[0]


async def answer_predict(plane: DataPlane, model: ServedModel, rows: Sequence[Any]) -> dict[str, Any]:
    """Returns the plain numbers of each row."""
    outputs = await plane.infer(model, rows)
    return {"predictions": model.predictor.postprocessor.scores(outputs).tolist()}
