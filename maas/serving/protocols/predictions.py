"""Predictions or scores of a list of rows, whatever the model's task: what `maas.Client` speaks.

    POST /v1/predictions   {"inputs": ["…", "…"]}   → {"model": …, "version": …, "predictions": [{"label": …}, …]}
    POST /v1/scores        {"inputs": ["…", "…"]}   → {"model": …, "version": …, "datatype": "FP32", "scores": [[…], …]}

`inputs` is always a list of rows, so that no shape decides how many there are; a client needs to know no task and no
name of an input. `model` and `version` beside it name a model; without them the default one predicts.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from maas.runtime.codec import Outputs
from maas.serving.call import Call, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode, encoded_list
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Inference, Rendered, Request
from maas.serving.protocols.parameters import MODEL_PROPERTIES, MODEL_QUERY, VersionName, chosen_deployment
from maas.serving.protocols.schemas import require_body_size, schema_like, served_row_schema
from maas.serving.repository import PredictingDeployment, Snapshot


class PredictionsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request.

    Args:
        inputs: rows.
        model: name of the model; null for the default one.
        version: its version or a label of one; null for the default one.
    """

    inputs: list[object]
    model: str | None = None
    version: VersionName | None = None


_DECODER = msgspec.json.Decoder(PredictionsRequest)


def predictions_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  its path names no model
    """Returns the two operations."""
    return [PredictionsOperation(), ScoresOperation()]


class ListOperation(Inference[Call]):
    """Rows in, something for each row out."""

    protocol = "predictions"
    call_type = Call

    def parse(self, request: Request, snapshot: Snapshot) -> Call:
        """Returns a call with the rows."""
        require_body_size(request.body, snapshot.predicting)
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(_example(snapshot.first))}") from None
        found, wanted = chosen_deployment(request, snapshot, snapshot.first, body.model, body.version)
        return Call(model=found.name, version=wanted, inputs=RowList(body.inputs), size_bytes=len(request.body))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        reply = self.reply_to_first_row(first)
        properties = {
            "inputs": {"type": "array", "minItems": 1, "items": served_row_schema(first)},
            **MODEL_PROPERTIES,
        }
        schema = {"type": "object", "required": ["inputs"], "properties": properties, "additionalProperties": False}
        return OperationDocument(
            Content(schema_like(reply), reply), Content(schema, _example(first)), query=MODEL_QUERY
        )

    @abstractmethod
    def reply_to_first_row(self, deployment: PredictingDeployment) -> dict[str, object]:
        """Returns the reply to a deployment's first golden row."""


class PredictionsOperation(ListOperation):
    """A prediction for each row."""

    path = "/v1/predictions"
    summary = "Answers a list of inputs of any model with its predictions."

    def render(self, call: Call, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns a prediction for each row, and whose they are."""
        predictions = map(deployment.postprocessor.predictions, slices(outputs))
        return Rendered(_body(_identity(deployment), "predictions", predictions))

    def reply_to_first_row(self, deployment: PredictingDeployment) -> dict[str, object]:
        """Returns the golden prediction."""
        return {**_identity(deployment), "predictions": deployment.bundle.golden.predictions[:1]}


class ScoresOperation(ListOperation):
    """The model's plain numbers for each row."""

    path = "/v1/scores"
    summary = "Answers a list of inputs of any model with its scores."

    def render(self, call: Call, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the scores of each row, their datatype, and whose they are."""
        scores = map(deployment.postprocessor.scores, slices(outputs))
        head = {**_identity(deployment), "datatype": _datatype(deployment)}
        return Rendered(_body(head, "scores", (part.tolist() for part in scores)))

    def reply_to_first_row(self, deployment: PredictingDeployment) -> dict[str, object]:
        """Returns the golden scores."""
        scores = deployment.bundle.golden.scores[:1]
        return {**_identity(deployment), "datatype": _datatype(deployment), "scores": scores}


def _body(head: dict[str, str], name: str, parts: Iterable[Sequence[object]]) -> Iterator[bytes]:
    yield encode(head)[:-1] + b"," + encode(name) + b":"
    yield from encoded_list(parts)
    yield b"}"


def _identity(deployment: PredictingDeployment) -> dict[str, str]:
    return {"model": deployment.name, "version": deployment.version}


def _datatype(deployment: PredictingDeployment) -> str:
    """Returns the datatype of the scores, as the Open Inference Protocol calls it."""
    return "FP64" if deployment.postprocessor.scores(deployment.example_outputs).dtype.itemsize > 4 else "FP32"


def _example(deployment: PredictingDeployment) -> dict[str, object]:
    return {"inputs": deployment.bundle.golden.inputs[:1]}
