"""Open Inference Protocol, version 2, over REST with tensors as JSON.

Not yet: the binary tensor extension. Its absence shows in `GET /v2`, and a binary request is refused with the reason.
Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, Call, Row, RowList, size_of_outputs
from maas.serving.examples import example_text
from maas.serving.faults import MediaTypeError, UnreadableError
from maas.serving.protocols.bodies import decode, encode
from maas.serving.protocols.operations import (
    AnyOperation,
    Content,
    Inference,
    JsonSchema,
    OperationDocument,
    Rendered,
    Request,
)
from maas.serving.protocols.schemas import require_body_size, schema_like, tensor_schema
from maas.serving.protocols.tensors import (
    InputTensor,
    OutputTensor,
    encoded_tensor,
    output_tensor,
    require_outputs,
    rows_of,
)
from maas.serving.protocols.v2_pages import (
    HealthPage,
    MetadataPage,
    ReadyPage,
    ServerPage,
    named_deployment,
    path_values,
)
from maas.serving.repository import Deployment, Snapshot

MODEL_PATHS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
PARAMETERS = frozenset({"binary_data", "binary_data_output"})
"""Known parameters: they allow binary tensors in the reply, and JSON is allowed as well."""


class RequestedOutput(msgspec.Struct):
    """An output that a client wants."""

    name: str
    parameters: dict[str, object] | None = None


class InferRequest(msgspec.Struct):
    """The body of an inference request."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: dict[str, object] | None = None


class InferReply(msgspec.Struct):
    """The body of an inference reply."""

    model_name: str
    model_version: str
    id: str | msgspec.UnsetType
    outputs: list[OutputTensor]


_DECODER = msgspec.json.Decoder(InferRequest)


class V2Call(Call, frozen=True, kw_only=True):
    """A call that wants some of the outputs.

    Args:
        identity: what the client calls its request; null where it has no name.
        wanted: names of the outputs; all of them if there is none.
    """

    identity: str | None = None
    wanted: Sequence[str] = ()


def v2_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the protocol's paths name no model
    """Returns health, metadata and inference."""
    return [
        ServerPage(),
        HealthPage("live", "Says that the server runs."),
        HealthPage("ready", "Says that the server can answer."),
        *(kind(path) for path in MODEL_PATHS for kind in (MetadataPage, ReadyPage, InferOperation)),
    ]


class InferOperation(Inference[V2Call]):
    """Tensors for tensors.

    Args:
        path: of the model, or of one version of it.
    """

    protocol = "v2"
    call_type = V2Call
    summary = "Answers tensors with tensors."

    def __init__(self, path: str) -> None:
        self.path = f"{path}/infer"

    def parse(self, request: Request, snapshot: Snapshot) -> V2Call:
        """Returns a call with the rows that the tensors hold."""
        deployment = named_deployment(request, snapshot)
        _refuse_binary(request)
        require_body_size(request.body, (deployment,))
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(_example_request(deployment))}") from None
        signature = deployment.signature
        for one in (body, *body.inputs, *(body.outputs or ())):
            if one.parameters:
                _refuse_unknown(one.parameters)
        wanted = [output.name for output in body.outputs or ()]
        if wanted:
            require_outputs(wanted, deployment.output_specs)
        return V2Call(
            model=deployment.name,
            version=request.values.get("version"),
            inputs=RowList(rows_of(body.inputs, signature.inputs, deployment.engine.max_rows)),
            size_bytes=len(request.body),
            identity=body.id,
            wanted=wanted,
        )

    def render(self, call: V2Call, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns the wanted outputs as tensors."""
        tensors = deployment.postprocessor.tensors(outputs)
        specs = deployment.output_specs
        identity = msgspec.UNSET if call.identity is None else call.identity
        wanted = [(specs[name], tensors[name]) for name in call.wanted or specs]
        reply = InferReply(deployment.name, deployment.version, identity, [])
        if size_of_outputs(tensors) > OUTPUT_VALUES_AT_ONCE:
            return Rendered(_in_parts(reply, wanted))
        reply.outputs = [output_tensor(spec, tensor) for spec, tensor in wanted]
        return Rendered(iter((encode(reply),)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        signature = first.signature
        call = V2Call(model=first.name, inputs=RowList([]), size_bytes=0)
        reply = msgspec.json.decode(b"".join(self.render(call, first, first.example_outputs).parts))
        kinds = {"type": "array", "items": {"oneOf": list(map(tensor_schema, signature.outputs))}}
        schema = schema_like(reply)
        return OperationDocument(
            Content({**schema, "properties": {**_properties(schema), "outputs": kinds}}, reply),
            Content(_request_schema(signature.inputs), _example_request(first)),
            path_values(self.path, first),
        )


def _in_parts(reply: InferReply, wanted: Sequence[tuple[TensorSpec, NDArray[np.generic]]]) -> Iterator[bytes]:
    yield encode(reply)[: -len(b"]}")]
    for number, (spec, tensor) in enumerate(wanted):
        yield from encoded_tensor(spec, tensor, b"," if number else b"")
    yield b"]}"


def _refuse_binary(request: Request) -> None:
    if any(name == b"inference-header-content-length" for name, _ in request.metadata):
        raise MediaTypeError(
            "The request holds binary tensors, which this server does not read yet; send the data as JSON "
            "(tritonclient: set_data_from_numpy(…, binary_data=False))."
        )


def _refuse_unknown(parameters: Mapping[str, object]) -> None:
    """Refuses what a client wants and would not get."""
    for name in parameters:
        if name not in PARAMETERS:
            known = ", ".join(sorted(PARAMETERS))
            raise InputError(
                f"The parameter {shortened_value(name)} is not known here; there is {known}. Leave it out."
            )


def _properties(schema: Mapping[str, object]) -> dict[str, object]:
    found = schema["properties"]
    return found if isinstance(found, dict) else {}


def _request_schema(specs: Sequence[TensorSpec]) -> JsonSchema:
    inputs = {"type": "array", "items": {"oneOf": list(map(tensor_schema, specs))}}
    names = {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    }
    properties = {"id": {"type": "string"}, "inputs": inputs, "outputs": names}
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _example_request(deployment: Deployment) -> dict[str, object]:
    """Returns a request with a golden row: its tensor, or a tensor a column."""
    specs, rows = deployment.signature.inputs, deployment.bundle.golden.inputs
    is_table = isinstance(deployment.processor.row_schema.get("properties"), dict)
    if not is_table:
        return {"inputs": [_example_input(specs[0], _as_tensor(deployment, specs[0], rows[0]))]}
    columns = [list(map(row.get, (spec.name for spec in specs))) if isinstance(row, dict) else row for row in rows]
    whole = next((row for row in columns if None not in row), columns[0])  # a tensor has no missing values
    return {"inputs": [_example_input(spec, value) for spec, value in zip(specs, whole, strict=True)]}


def _as_tensor(deployment: Deployment, spec: TensorSpec, row: Row) -> object:
    """Returns a row in the tensor's shape, without the batch: numbers as they are, or as read from a file."""
    is_tensor = spec.datatype == "BYTES" or (isinstance(row, list) and spec.matches(np.asarray([row])))
    if is_tensor:
        return row
    (array,) = deployment.processor.preprocess([row])[0].values()
    return array


def _example_input(spec: TensorSpec, value: object) -> dict[str, object]:
    array = np.asarray([value], dtype=object)
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
