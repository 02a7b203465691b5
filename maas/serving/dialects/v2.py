"""Open Inference Protocol, version 2, over REST with tensors as JSON.

Not yet: the binary tensor extension. Its absence shows in `GET /v2`, and a binary request is refused with the reason.
Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any

import msgspec
import numpy as np

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.serving.dataplane import DataPlane, ServedModel
from maas.serving.faults import MediaTypeError
from maas.serving.messages import Request, Response
from maas.serving.openapi import schema_like, tensor_schema
from maas.serving.payload import decode, encode, example_text
from maas.serving.routing import Content, Handler, Route
from maas.serving.tensors import InputTensor, rows_of, tensors_of

MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"


class RequestedOutput(msgspec.Struct):
    """An output that a client wants; its parameters may ask for binary data, and are free to go unheard."""

    name: str


class InferRequest(msgspec.Struct):
    """What a client asks; parameters are accepted and mean nothing here."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None


_DECODER = msgspec.json.Decoder(InferRequest)


def routes(plane: DataPlane) -> list[Route]:
    """Returns health, metadata and inference."""
    model = next(iter(plane.models.values()))
    server = {"name": "maas", "version": _own_version(), "extensions": []}
    metadata = metadata_of(model)
    ready = {"name": model.name, "ready": True}
    return [
        _get("/v2", _constant(server), "Names the server.", server),
        _get("/v2/health/live", _constant({"live": True}), "Tells that the server runs.", {"live": True}),
        _get("/v2/health/ready", _constant({"ready": True}), "Tells that the server can answer.", {"ready": True}),
        *(
            route
            for path, values in _model_paths(model)
            for route in (
                _get(path, _metadata_handler(plane), "Describes a model's tensors.", metadata, values),
                _get(f"{path}/ready", _ready_handler(plane), "Tells that a model can answer.", ready, values),
                _infer_route(plane, model, f"{path}/infer", values),
            )
        ),
    ]


def metadata_of(model: ServedModel) -> dict[str, Any]:
    """Returns the protocol's description of a model."""
    signature = model.predictor.signature
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx",
        "inputs": [_described(spec) for spec in signature.inputs],
        "outputs": [_described(spec) for spec in signature.outputs],
    }


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _model_paths(model: ServedModel) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    name = ("name", model.name)
    return [(MODEL, (name,)), (VERSION, (name, ("version", model.version)))]


def _get(path: str, handle: Handler, summary: str, example: Any, values: tuple[tuple[str, str], ...] = ()) -> Route:
    return Route("GET", path, handle, summary, Content(schema_like(example), example), values=values)


def _constant(content: Any) -> Handler:
    response = Response(encode(content))

    async def handle(request: Request) -> Response:  # noqa: ARG001
        return response

    return handle


def _found(plane: DataPlane, request: Request) -> ServedModel:
    model = plane.find(request.parameters["name"], request.parameters.get("version"))
    request.model = model.name
    return model


def _metadata_handler(plane: DataPlane) -> Handler:
    async def handle(request: Request) -> Response:
        return Response(encode(metadata_of(_found(plane, request))))

    return handle


def _ready_handler(plane: DataPlane) -> Handler:
    async def handle(request: Request) -> Response:
        return Response(encode({"name": _found(plane, request).name, "ready": True}))

    return handle


def _infer_route(plane: DataPlane, first: ServedModel, path: str, values: tuple[tuple[str, str], ...]) -> Route:
    example = _example_request(first)
    text = example_text(example)

    async def handle(request: Request) -> Response:
        model = _found(plane, request)
        _refuse_binary(request)
        asked = decode(_DECODER, request.body, text)
        signature = model.predictor.signature
        wanted = [output.name for output in asked.outputs or ()]
        outputs = await plane.infer(model, rows_of(asked.inputs, signature.inputs))
        tensors = tensors_of(model.predictor.postprocessor.tensors(outputs), signature.outputs, wanted)
        return Response(encode(_answer(model, asked.id, tensors)))

    answer = _answer(first, None, _example_tensors(first))
    outputs = {"type": "array", "items": {"oneOf": [tensor_schema(spec) for spec in first.predictor.signature.outputs]}}
    response_schema = schema_like(answer)
    response_schema["properties"]["outputs"] = outputs
    return Route(
        "POST",
        path,
        handle,
        "Answers tensors with tensors.",
        Content(response_schema, answer),
        Content(_request_schema(first.predictor.signature.inputs), example),
        values,
    )


def _answer(model: ServedModel, identity: str | None, tensors: list[Any]) -> dict[str, Any]:
    echoed = {} if identity is None else {"id": identity}
    return {"model_name": model.name, "model_version": model.version, **echoed, "outputs": tensors}


def _refuse_binary(request: Request) -> None:
    if any(name == b"inference-header-content-length" for name, _ in request.headers):
        raise MediaTypeError(
            "The request holds binary tensors, which this server does not read yet; send the data as JSON "
            "(tritonclient: set_data_from_numpy(…, binary_data=False))."
        )


def _request_schema(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    inputs = {"type": "array", "items": {"oneOf": [tensor_schema(spec) for spec in specs]}}
    names = {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    }
    properties = {"id": {"type": "string"}, "inputs": inputs, "outputs": names}
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _example_request(model: ServedModel) -> dict[str, Any]:
    specs, rows = model.predictor.signature.inputs, model.bundle.golden.inputs
    is_table = isinstance(model.predictor.processor.row_schema.get("properties"), dict)
    if not is_table:
        return {"inputs": [_example_input(specs[0], _as_tensor(model, specs[0], rows[0]))]}
    columns = [list(map(row.get, (spec.name for spec in specs))) if isinstance(row, dict) else row for row in rows]
    whole = next((row for row in columns if None not in row), columns[0])  # a tensor has no missing values
    return {"inputs": [_example_input(spec, value) for spec, value in zip(specs, whole, strict=True)]}


def _as_tensor(model: ServedModel, spec: TensorSpec, row: Any) -> Any:
    """Returns a row in the tensor's shape, without the batch: numbers as they are, or as read from a file."""
    is_tensor = spec.datatype == "BYTES" or (isinstance(row, list) and spec.matches(np.asarray([row])))
    return row if is_tensor else model.predictor.preprocess([row])[0]


def _example_input(spec: TensorSpec, value: Any) -> dict[str, Any]:
    array = np.asarray([value], dtype=object)
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape), "data": array.ravel().tolist()}


def _example_tensors(model: ServedModel) -> list[Any]:
    outputs: Outputs = model.predictor.outputs(model.bundle.golden.inputs[:1])
    return tensors_of(model.predictor.postprocessor.tensors(outputs), model.predictor.signature.outputs, ())


def _own_version() -> str:
    try:
        return version_of("maas")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
