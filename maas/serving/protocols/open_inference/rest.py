"""Open Inference Protocol, version 2, over REST: tensors as JSON or as binary data after it.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from maas.records.signature import Signature, TensorSpec
from maas.runtime.codec import Outputs
from maas.serving.call import Call, Row, RowList
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.open_inference.extensions import ConfigurationPage, IndexPage, LoadingPage, StatisticsPage
from maas.serving.protocols.open_inference.json_rows import json_row_reader
from maas.serving.protocols.open_inference.messages import deadline_in
from maas.serving.protocols.open_inference.outputs import WantedOutput, binary_reply, reply_of
from maas.serving.protocols.open_inference.pages import MODEL_PATHS, named_deployment, path_values
from maas.serving.protocols.open_inference.requests import json_size, request_head, rows_of_request
from maas.serving.protocols.open_inference.row_requests import binary_row_reader
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import LARGE_BODY_BYTES, AnyOperation, Inference, Rendered, Request, RowReader
from maas.serving.protocols.schemas import object_schema, schema_like, tensor_schema
from maas.serving.repository import PredictingDeployment, Snapshot


class V2Call(Call, frozen=True, kw_only=True):
    """A call that wants some of the outputs.

    Args:
        identity: what the client calls its request; null where it has no name.
        outputs: those that are wanted, and how.
        are_binary: whether the data of all of them is to follow the JSON of the reply.
    """

    identity: str | None = None
    outputs: Sequence[WantedOutput] = ()
    are_binary: bool = False


def v2_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the protocol's paths name no model
    """Returns inference, and what extensions add to the protocol."""
    return [
        *(kind(path) for path in MODEL_PATHS for kind in (ConfigurationPage, InferOperation)),
        IndexPage(),
        LoadingPage("load"),
        LoadingPage("unload"),
        StatisticsPage("/v2/models/stats"),
        *(StatisticsPage(f"{path}/stats") for path in MODEL_PATHS),
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

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether a request is large; of binary data only texts and tables are much work to read."""
        if len(request.body) <= LARGE_BODY_BYTES:
            return False
        size = json_size(request)
        if size is None or size > LARGE_BODY_BYTES:
            return True
        specs = named_deployment(request, snapshot).signature.inputs
        return len(specs) > 1 or specs[0].datatype == "BYTES"

    def parse(self, request: Request, snapshot: Snapshot) -> V2Call:
        """Returns a call with the rows that the tensors hold."""
        deployment = named_deployment(request, snapshot)
        try:
            head, size = request_head(request, deployment)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(_example_request(deployment))}") from None
        return V2Call(
            model=deployment.name,
            version=request.values.get("version"),
            inputs=RowList(rows_of_request(head, request.body, size, deployment)),
            size_bytes=len(request.body),
            deadline_s=deadline_in(head.timeout_s),
            priority=head.priority,
            identity=head.body.id,
            outputs=head.outputs,
            are_binary=head.are_binary,
        )

    def row_reader(self, request: Request, snapshot: Snapshot) -> RowReader | None:
        """Returns what reads rows of binary data, or of numbers in JSON."""
        deployment = named_deployment(request, snapshot)
        return binary_row_reader(deployment, request.metadata) or json_row_reader(deployment, request.metadata)

    def render(self, call: V2Call, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the wanted outputs as tensors."""
        arrays = deployment.postprocessor.tensors(outputs)
        if call.are_binary and call.identity is None:
            return binary_reply(call.outputs, deployment, arrays)
        return reply_of(call.identity, call.outputs, deployment, arrays)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        signature = first.signature
        outputs = [WantedOutput(spec.name, spec.datatype) for spec in signature.outputs]
        call = V2Call(model=first.name, inputs=RowList([]), size_bytes=0, outputs=outputs)
        reply = msgspec.json.decode(b"".join(self.render(call, first, first.example_outputs).parts))
        kinds = {"type": "array", "items": {"oneOf": list(map(tensor_schema, signature.outputs))}}
        schema = schema_like(reply)
        return OperationDocument(
            Content({**schema, "properties": {**_properties(schema), "outputs": kinds}}, reply),
            Content(_request_schema(signature), _example_request(first)),
            path_values(self.path, first),
        )


def _properties(schema: Mapping[str, object]) -> dict[str, object]:
    found = schema["properties"]
    return found if isinstance(found, dict) else {}


def _request_schema(signature: Signature) -> JsonSchema:
    specs, outputs = signature.inputs, [spec.name for spec in signature.outputs]
    inputs = {
        "type": "array",
        "minItems": 1,
        "maxItems": len(specs),
        "items": {"oneOf": list(map(tensor_schema, specs))},
    }
    names = {
        "type": ["array", "null"],
        "uniqueItems": True,
        "items": object_schema(name={"type": "string", "enum": outputs}),
    }
    properties = {"id": {"type": ["string", "null"]}, "inputs": inputs, "outputs": names}
    return {"type": "object", "required": ["inputs"], "properties": properties}


def _example_request(deployment: PredictingDeployment) -> dict[str, object]:
    """Returns a request with a golden row: its tensor, or a tensor a column."""
    specs, rows = deployment.signature.inputs, deployment.bundle.golden.inputs
    is_table = isinstance(deployment.processor.row_schema.get("properties"), dict)
    if not is_table:
        return {"inputs": [_example_input(specs[0], _as_tensor(deployment, specs[0], rows[0]))]}
    columns = [list(map(row.get, (spec.name for spec in specs))) if isinstance(row, dict) else row for row in rows]
    whole = next((row for row in columns if None not in row), columns[0])  # a tensor has no missing values
    return {"inputs": [_example_input(spec, value) for spec, value in zip(specs, whole, strict=True)]}


def _as_tensor(deployment: PredictingDeployment, spec: TensorSpec, row: Row) -> object:
    """Returns a row in the tensor's shape, without the batch: numbers as they are, or as read from a file."""
    is_tensor = spec.datatype == "BYTES" or (isinstance(row, list) and spec.matches(np.asarray([row])))
    if is_tensor:
        return row
    (array,) = deployment.processor.preprocess([row])[0].values()
    return array


def _example_input(spec: TensorSpec, value: object) -> dict[str, object]:
    array = np.asarray([value], dtype=object)
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
