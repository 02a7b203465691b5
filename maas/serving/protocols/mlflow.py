"""MLflow's scoring protocol: `/invocations` in its four forms of JSON and as CSV, `/ping` and `/version`.

As `mlflow models serve` does, it gives a prediction for each row. Parquet is not read. What MLflow's own server drops
is refused here: columns and parameters that the model does not know.
Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import msgspec

from maas.errors import InputError, OverloadError
from maas.runtime.codec import Outputs
from maas.serving.call import Call, Row, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import MediaTypeError, UnreadableError
from maas.serving.protocols.bodies import decode_with_nan, encoded_list
from maas.serving.protocols.csv_tables import rows_of_csv
from maas.serving.protocols.labels import prediction_maker, top_k_of
from maas.serving.protocols.mlflow_schemas import invocation_schema
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Inference, Page, Rendered, Reply, Request
from maas.serving.protocols.parameters import MODEL_QUERY, SCORES_QUERY, WholeCount, chosen_deployment
from maas.serving.protocols.rows import rows_of_columns, rows_of_instances, rows_of_records, rows_of_table
from maas.serving.protocols.schemas import require_body_size, schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

ROW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = "text/csv"
UNREAD = ("application/vnd.apache.parquet", "multipart/")
MLFLOW_ERROR_CODES = {
    "unknown_model": "RESOURCE_DOES_NOT_EXIST",
    "internal_error": "INTERNAL_ERROR",
    "overloaded": "TEMPORARILY_UNAVAILABLE",
    "deadline_exceeded": "DEADLINE_EXCEEDED",
}
"""MLflow's name of each kind of fault; the others are BAD_REQUEST."""


class SplitTable(msgspec.Struct, forbid_unknown_fields=True):
    """A table as pandas writes it with `orient="split"`; its index is not needed."""

    data: list[list[object]]
    columns: list[str | int] | None = None
    index: list[object] | None = None


class InvocationParameters(msgspec.Struct, forbid_unknown_fields=True):
    """What else a caller may want."""

    top_k: WholeCount | None = None
    scores: bool | None = None


class InvocationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `/invocations`: rows in one of four forms."""

    dataframe_split: SplitTable | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, object]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[object] | msgspec.UnsetType = msgspec.UNSET
    inputs: object = msgspec.UNSET
    params: InvocationParameters | None = None


class InvocationCall(Call, frozen=True, kw_only=True):
    """A call that may want scores by label.

    Args:
        top_k: number of scores beside each prediction, 0 for all; null for none.
    """

    top_k: int | None = None


_DECODER = msgspec.json.Decoder(InvocationRequest)


def mlflow_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the paths name no model
    """Returns health, version and predictions."""
    return [PingPage("/ping"), PingPage("/health"), VersionPage(), InvocationOperation()]


class PingPage(Page):
    """Whether the server can answer.

    Args:
        path: `/ping` or `/health`.
    """

    protocol = "mlflow"
    summary = "Says that the server can answer."

    def __init__(self, path: str) -> None:
        self.path = path

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns code and message."""
        return mlflow_fault(kind, message)

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns an empty object.

        Raises:
            OverloadError: no model is served.
        """
        if not snapshot.predicting:
            raise OverloadError("No model is served yet. Try again in a second.")
        return Reply(b"{}")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        return OperationDocument(Content({"type": "object"}, {}))


class VersionPage(Page):
    """The version of the server."""

    protocol = "mlflow"
    path = "/version"
    summary = "Names the version of the server."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns it as text, and not as JSON, as MLflow's server does."""
        return Reply(_version().encode(), b"text/plain; charset=utf-8")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        return OperationDocument(Content({"type": "string"}, _version(), "text/plain"))


class InvocationOperation(Inference[InvocationCall]):
    """A prediction for each row."""

    protocol = "mlflow"
    call_type = InvocationCall
    path = "/invocations"
    summary = "Answers MLflow's tables, instances and inputs with predictions."

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns code and message."""
        return mlflow_fault(kind, message)

    def parse(self, request: Request, snapshot: Snapshot) -> InvocationCall:
        """Returns a call with the rows."""
        kind = request.media_type
        if kind.startswith(UNREAD):
            raise MediaTypeError(f"The body is of type {kind}; this route reads application/json and {CSV}.")
        deployment, wanted = chosen_deployment(request, snapshot, snapshot.first, None, None)
        require_body_size(request.body, (deployment,))
        parameters = InvocationParameters()
        if kind == CSV:
            rows = rows_of_csv(request.body, deployment.signature.inputs)
        else:
            body = _read(request.body, deployment)
            parameters = body.params or parameters
            rows = _rows(body, deployment)
        return InvocationCall(
            model=deployment.name,
            version=wanted,
            inputs=RowList(rows),
            size_bytes=len(request.body),
            top_k=top_k_of(request, parameters.top_k, parameters.scores, deployment),
        )

    def render(self, call: InvocationCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the predictions."""
        return Rendered(_predictions(map(prediction_maker(deployment, call.top_k), slices(outputs))))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        reply = {"predictions": first.bundle.golden.predictions[:1]}
        query = MODEL_QUERY + (SCORES_QUERY if first.postprocessor.labels else ())
        return OperationDocument(
            Content(schema_like(reply), reply), Content(invocation_schema(first), _example(first)), query=query
        )


def mlflow_fault(kind: str, message: str) -> dict[str, object]:
    """Returns what a body says of a fault."""
    return {"error_code": MLFLOW_ERROR_CODES.get(kind, "BAD_REQUEST"), "message": message}


def _read(body: bytes | bytearray, deployment: PredictingDeployment) -> InvocationRequest:
    try:
        read = decode_with_nan(_DECODER, body)
        _require_one_form(read)
    except UnreadableError as error:
        raise UnreadableError(f"{error} like {example_text(_example(deployment))}") from None
    return read


def _require_one_form(body: InvocationRequest) -> None:
    found = [form for form in ROW_FORMS if getattr(body, form) is not msgspec.UNSET]
    if len(found) != 1:
        held = " and ".join(found) or "none"
        raise UnreadableError(f"The body has {held} of {', '.join(ROW_FORMS)}; it takes one of them. Send JSON")


def _rows(body: InvocationRequest, deployment: PredictingDeployment) -> list[Row]:
    """Returns the rows of whichever form a body has."""
    specs = deployment.signature.inputs
    if body.dataframe_split is not msgspec.UNSET:
        table = body.dataframe_split
        return rows_of_table(_columns(table.columns), table.data, specs)
    if body.dataframe_records is not msgspec.UNSET:
        return rows_of_records(body.dataframe_records, specs)
    if body.instances is not msgspec.UNSET:
        return rows_of_instances(body.instances, specs)
    return rows_of_columns(body.inputs, specs)


def _columns(names: Sequence[str | int] | None) -> list[str] | None:
    """Returns the names of a table's columns; pandas numbers those that have none.

    Raises:
        InputError: one is there twice.
    """
    if names is None or list(names) == list(range(len(names))):
        return None
    texts = list(map(str, names))
    if len(set(texts)) < len(texts):
        raise InputError("The table has two columns of one name; name each column once.")
    return texts


def _predictions(lists: Iterator[Sequence[object]]) -> Iterator[bytes]:
    yield b'{"predictions":'
    yield from encoded_list(lists)
    yield b"}"


def _example(deployment: PredictingDeployment) -> dict[str, object]:
    """Returns a golden row as a table, or as an instance."""
    names, row = [spec.name for spec in deployment.signature.inputs], deployment.bundle.golden.inputs[0]
    if len(names) == 1:
        return {"instances": [row]}
    cells = list(map(row.get, names)) if isinstance(row, dict) else row
    return {"dataframe_split": {"columns": names, "data": [cells]}}


def _version() -> str:
    try:
        return version("maas")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
