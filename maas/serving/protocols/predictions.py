"""Predictions of a list of rows, whatever the model's task: what `maas.Client` speaks.

    POST /v1/predictions   {"inputs": ["…", "…"]}   → {"model": …, "version": …, "predictions": [{"label": …}, …]}

`inputs` is always a list of rows, so that no shape decides how many there are; a client needs to know no task and no
name of an input. `model` and `version` beside it name a model; without them the default one predicts.
"""

from collections.abc import Iterator

import msgspec

from maas.runtime.codec import Outputs
from maas.serving.call import Call, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode, encoded_list
from maas.serving.protocols.operations import (
    AnyOperation,
    Content,
    Inference,
    OperationDocument,
    Rendered,
    Request,
)
from maas.serving.protocols.schemas import require_body_size, schema_like
from maas.serving.repository import Deployment, Snapshot


class PredictionsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request.

    Args:
        inputs: rows.
        model: name of the model; null for the default one.
        version: its version or a label of one; null for the default one.
    """

    inputs: list[object]
    model: str | None = None
    version: str | int | None = None


_DECODER = msgspec.json.Decoder(PredictionsRequest)


def predictions_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  its path names no model
    """Returns the one operation."""
    return [PredictionsOperation()]


class PredictionsOperation(Inference[Call]):
    """Rows in, predictions out."""

    protocol = "predictions"
    call_type = Call
    path = "/v1/predictions"
    summary = "Answers a list of inputs of any model with its predictions."

    def parse(self, request: Request, snapshot: Snapshot) -> Call:
        """Returns a call with the rows."""
        require_body_size(request.body, snapshot.deployments)
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(_example(snapshot.first))}") from None
        version = None if body.version is None else str(body.version)
        first = snapshot.first
        found = first if body.model is None and version is None else snapshot.find(body.model or first.name, version)
        request.model = found.name
        return Call(model=found.name, version=version, inputs=RowList(body.inputs), size_bytes=len(request.body))

    def render(self, call: Call, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns a prediction for each row, and whose they are."""
        return Rendered(_body(deployment, outputs))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        golden = first.bundle.golden
        reply = {"model": first.name, "version": first.version, "predictions": golden.predictions[:1]}
        properties = {
            "inputs": {"type": "array", "minItems": 1, "items": first.processor.row_schema},
            "model": {"type": "string"},
            "version": {"type": ["string", "integer"]},
        }
        schema = {"type": "object", "required": ["inputs"], "properties": properties, "additionalProperties": False}
        return OperationDocument(Content(schema_like(reply), reply), Content(schema, _example(first)))


def _body(deployment: Deployment, outputs: Outputs) -> Iterator[bytes]:
    head = encode({"model": deployment.name, "version": deployment.version})
    yield head[:-1] + b',"predictions":'
    yield from encoded_list(map(deployment.postprocessor.predictions, slices(outputs)))
    yield b"}"


def _example(deployment: Deployment) -> dict[str, object]:
    return {"inputs": deployment.bundle.golden.inputs[:1]}
