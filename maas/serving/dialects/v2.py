"""Open Inference Protocol, version 2, over REST with tensors as JSON.

Not yet: the binary tensor extension. Its absence shows in `GET /v2`, and a binary request is refused with the reason.
Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.signature import NUMPY_TYPES, TensorSpec
from maas.serving.batching import Outputs
from maas.serving.dataplane import DataPlane, ServedModel
from maas.serving.faults import MediaTypeError
from maas.serving.messages import Request, Response
from maas.serving.openapi import schema_like, tensor_schema
from maas.serving.payload import decode, encode, example_text
from maas.serving.routing import Content, Handler, Route

MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
_KINDS = {"BOOL": "b", "UINT8": "iu", "INT8": "iu", "INT32": "iu", "INT64": "iu", "FP32": "iuf", "FP64": "iuf"}


class InputTensor(msgspec.Struct):
    """A tensor as a client sends it, its data flat or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


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
        "inputs": [msgspec.to_builtins(spec) for spec in signature.inputs],
        "outputs": [msgspec.to_builtins(spec) for spec in signature.outputs],
    }


def rows_of(asked: InferRequest, specs: Sequence[TensorSpec]) -> Sequence[Any]:
    """Returns the rows that a request's tensor holds.

    Raises:
        InputError: it is not the tensor that the model takes.
    """
    (spec,) = specs
    names = [tensor.name for tensor in asked.inputs]
    if names != [spec.name]:
        raise InputError(f"The request's inputs are {names}; the model takes one input, {spec.name!r}.")
    tensor = asked.inputs[0]
    if tensor.datatype != spec.datatype:
        raise InputError(f"Input {spec.name!r} has datatype {tensor.datatype!r}; the model takes {spec.datatype}.")
    if not _fits(tensor.shape, spec):
        raise InputError(f"Input {spec.name!r} has shape {tensor.shape}; the model takes {list(spec.shape)}.")
    return _array(tensor, spec)


def tensors_of(outputs: dict[str, NDArray[Any]], specs: Sequence[TensorSpec], wanted: Sequence[str]) -> list[Any]:
    """Returns output tensors as the protocol writes them, their data flat.

    Raises:
        InputError: an output is wanted that the model does not have.
    """
    known = {spec.name: spec for spec in specs}
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"The outputs {unknown} are wanted; the model has {', '.join(known)}.")
    return [
        {
            "name": name,
            "datatype": known[name].datatype,
            "shape": list(outputs[name].shape),
            "data": outputs[name].ravel().tolist(),
        }
        for name in wanted or known
    ]


def _model_paths(model: ServedModel) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    name = ("name", model.name)
    return [(MODEL, (name,)), (VERSION, (name, ("version", model.version)))]


def _get(
    path: str, handle: Handler, summary: str, example: Any, values: tuple[tuple[str, str], ...] = ()
) -> Route:
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
        outputs = await plane.infer(model, rows_of(asked, signature.inputs))
        tensors = tensors_of(model.predictor.answer.tensors(outputs), signature.outputs, wanted)
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


def _fits(shape: Sequence[int], spec: TensorSpec) -> bool:
    return len(shape) == len(spec.shape) and all(
        found >= 0 and wanted in (-1, found) for wanted, found in zip(spec.shape, shape, strict=True)
    )


def _array(tensor: InputTensor, spec: TensorSpec) -> Sequence[Any]:
    """Returns numbers as an array of the tensor's shape, and texts as a flat list of Python's strings."""
    size = math.prod(tensor.shape)
    if spec.datatype == "BYTES":
        _check_size(len(tensor.data), size, tensor)
        return tensor.data
    try:
        array = np.asarray(tensor.data)
    except ValueError as error:
        raise InputError(f"Input {tensor.name!r} has rows of unequal length: {error}.") from None
    if array.size and array.dtype.kind not in _KINDS[spec.datatype]:
        raise InputError(f"Input {tensor.name!r} holds something else than numbers of datatype {spec.datatype}.")
    _check_size(array.size, size, tensor)
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the processor, with its row
        converted: NDArray[Any] = array.astype(NUMPY_TYPES[spec.datatype]).reshape(tensor.shape)
    return converted


def _check_size(found: int, wanted: int, tensor: InputTensor) -> None:
    if found != wanted:
        raise InputError(f"Input {tensor.name!r} holds {found} values; its shape {tensor.shape} needs {wanted}.")


def _request_schema(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    inputs = {"type": "array", "items": {"oneOf": [tensor_schema(spec) for spec in specs]}}
    names = {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}
    properties = {"id": {"type": "string"}, "inputs": inputs, "outputs": names}
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _example_request(model: ServedModel) -> dict[str, Any]:
    spec = model.predictor.signature.inputs[0]
    shape = [1, *spec.shape[1:]]
    data = np.asarray(model.bundle.golden.inputs[:1], dtype=object).ravel().tolist()
    return {"inputs": [{"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": data}]}


def _example_tensors(model: ServedModel) -> list[Any]:
    outputs: Outputs = model.predictor.outputs(model.bundle.golden.inputs[:1])
    return tensors_of(model.predictor.answer.tensors(outputs), model.predictor.signature.outputs, ())


def _own_version() -> str:
    try:
        return version_of("maas")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
