"""Runs GraphQL queries: models run for them in the queues, and within the limits, of all other protocols."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar

from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema, execute

from maas.errors import InputError, MaasError, OverloadError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.serving.call import NORMAL
from maas.serving.deadlines import priority_of
from maas.serving.executors import ThreadExecutor
from maas.serving.faults import InvalidGraphqlError, kind_of, logged_failure, message_of, require_rows
from maas.serving.protocols.graphql.documents import GraphqlDocument, QueryCost, placed, read_document
from maas.serving.protocols.graphql.requests import GraphqlRequest, GraphqlResponse
from maas.serving.protocols.graphql.schema import schema_text
from maas.serving.protocols.labels import named_scores
from maas.serving.protocols.operations import Request
from maas.serving.repository import PredictingDeployment, Snapshot

KEPT_SCHEMAS, KEPT_DOCUMENTS = 4, 256
Kept = TypeVar("Kept")


class GraphqlSchema:
    """The schema of the models of a snapshot, and the queries that were compared with it last.

    Args:
        snapshot: what is served.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        found = schema_text(snapshot)
        self.models = found.models
        self.schema: GraphQLSchema = build_schema(found.text)
        self.documents: dict[str, GraphqlDocument] = {}


class GraphqlExecutor:
    """Runs queries for any snapshot.

    Args:
        thread: where queries are read and compared with the schema, and the schema is described.
    """

    def __init__(self, thread: ThreadExecutor) -> None:
        self._thread = thread
        self._schemas: dict[str, GraphqlSchema] = {}

    async def response(self, query: GraphqlRequest, request: Request, snapshot: Snapshot) -> GraphqlResponse:
        """Returns what a query gives.

        Args:
            query: with its variables.
            request: that it came with; it keeps the name of the first model that predicts.
            snapshot: what is served.

        Raises:
            InvalidGraphqlError: it does not fit the schema.
            CostlyQueryError: it wants too much.
        """
        known = self._known(query.query, snapshot)
        if known is None:
            known = await self._thread.run(partial(self._prepared, query.query, snapshot))
        schema, document = known
        operation = document.operation(query.operation_name)
        variables = query.variables or {}
        QueryCost(document, variables, len(snapshot.predicting)).require_modest(operation)
        root = _Root(snapshot, request)
        fields = root.fields(schema.models)
        run = partial(
            execute,
            schema.schema,
            document.node,
            root_value=fields,
            variable_values=variables,
            operation_name=query.operation_name,
        )
        found = await self._thread.run(run) if document.is_about_schema(operation) else run()
        result: ExecutionResult = await found if isawaitable(found) else found
        return GraphqlResponse(_content(result), root.deployments)

    def _known(self, query: str, snapshot: Snapshot) -> tuple[GraphqlSchema, GraphqlDocument] | None:
        """Returns the same if they are kept."""
        schema = self._schemas.get(snapshot.digest)
        document = schema.documents.get(query) if schema else None
        return (schema, document) if schema and document else None

    def _prepared(self, query: str, snapshot: Snapshot) -> tuple[GraphqlSchema, GraphqlDocument]:
        """Returns the schema of a snapshot, and a query that fits it."""
        schema = self._schemas.get(snapshot.digest)
        if schema is None:
            schema = _kept(self._schemas, snapshot.digest, GraphqlSchema(snapshot), KEPT_SCHEMAS)
        document = schema.documents.get(query)
        if document is None:
            document = _kept(schema.documents, query, read_document(query, schema.schema), KEPT_DOCUMENTS)
        return schema, document


class _Root:
    """What the fields of one query are read from.

    Args:
        snapshot: what is served.
        request: keeps the name of the first model that predicts.
    """

    def __init__(self, snapshot: Snapshot, request: Request) -> None:
        self._snapshot, self._request = snapshot, request
        self._rows: Counter[PredictingDeployment] = Counter()

    @property
    def deployments(self) -> Sequence[PredictingDeployment]:
        """Deployments that rows were given to."""
        return list(self._rows)

    def fields(self, models: Mapping[str, str]) -> dict[str, object]:
        """Returns what gives each field of a query.

        Args:
            models: name of the model of each field that a model has.
        """
        typed = {field: partial(self._predictions, model=name) for field, name in models.items()}
        return {"models": self._models, "model": self._model, "predict": self._predictions, **typed}

    def _models(self, _info: GraphQLResolveInfo) -> list[dict[str, object]]:
        return [_model(one, self._snapshot) for one in self._snapshot.listed]

    def _model(
        self, _info: GraphQLResolveInfo, name: str | None = None, version: str | None = None
    ) -> dict[str, object]:
        return _model(self._found(name, version), self._snapshot)

    def _found(self, name: str | None, version: str | None) -> PredictingDeployment:
        return self._snapshot.find(self._snapshot.first.name if name is None else name, version)

    async def _predictions(
        self, _info: GraphQLResolveInfo, inputs: list[object], model: str | None = None, version: str | None = None
    ) -> dict[str, object]:
        """Lets a model run for some inputs; all that a query sends to a model are no more than one call may have."""
        deployment = self._found(model, version)
        self._rows[deployment] += len(inputs)
        require_rows(self._rows[deployment] if inputs else 0, deployment.engine.max_rows)
        if not self._request.model:
            self._request.model, self._request.version = deployment.name, deployment.version
        priority = priority_of(self._request.priority) if self._request.priority else NORMAL
        return _predicted(deployment, await deployment.outputs(inputs, len(self._request.body), priority))


def _kept(known: dict[str, Kept], name: str, value: Kept, most: int) -> Kept:
    """Returns a value that is kept by its name from now on; the oldest one is forgotten where there are too many."""
    known[name] = value
    if len(known) > most:
        del known[next(iter(known))]
    return value


def _model(deployment: PredictingDeployment, snapshot: Snapshot) -> dict[str, object]:
    return {
        "name": deployment.name,
        "version": deployment.version,
        "labels": snapshot.labels_of(deployment),
        "task": deployment.task,
        "classes": deployment.postprocessor.labels,
        "inputs": lambda _info: list(map(_tensor, deployment.signature.inputs)),
        "outputs": lambda _info: list(map(_tensor, deployment.signature.outputs)),
        "rowSchema": lambda _info: deployment.processor.row_schema,
    }


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _predicted(deployment: PredictingDeployment, outputs: Outputs) -> dict[str, object]:
    """Returns what gives each field of a model's predictions; what nobody wants is not made."""
    postprocessor = deployment.postprocessor

    def label_scores(_info: GraphQLResolveInfo, **arguments: Any) -> list[dict[str, float]]:
        top_k = arguments.get("topK")
        if not postprocessor.labels:
            raise InputError(f"Model {deployment.name!r} has no labels; leave out labelScores.")
        if top_k is not None and top_k < 1:
            raise InputError(f"topK is {top_k}; it is at least 1, or left out for all labels.")
        return named_scores(postprocessor.scores(outputs), postprocessor.labels, top_k or 0)

    return {
        "model": deployment.name,
        "version": deployment.version,
        "predictions": lambda _info: postprocessor.predictions(outputs),
        "scores": lambda _info: postprocessor.scores(outputs).tolist(),
        "labelScores": label_scores,
    }


def _content(result: ExecutionResult) -> dict[str, object]:
    """Returns data and errors of a result.

    Raises:
        InvalidGraphqlError: nothing was run, as variables do not fit the query.
    """
    errors = result.errors or []
    if result.data is None and errors and not any(error.path for error in errors):
        raise InvalidGraphqlError(" ".join(map(placed, errors[:3])))
    described = list(map(_described, errors))
    return {"errors": described, "data": result.data} if described else {"data": result.data}


def _described(error: GraphQLError) -> dict[str, object]:
    """Returns an error as the response has it; what is not the caller's fault goes to the log."""
    cause = error.original_error
    extensions: dict[str, object] = {"code": "invalid_graphql" if cause is None else kind_of(cause)}
    message = message_of(InvalidGraphqlError(placed(error)))
    if isinstance(cause, MaasError):
        message = message_of(cause)
    elif cause is not None:
        message, extensions["id"] = logged_failure(cause)
    if isinstance(cause, OverloadError):
        extensions["retryAfterS"] = cause.retry_after_s
    locations = [{"line": one.line, "column": one.column} for one in error.locations or ()]
    return {"message": message, "locations": locations, "path": error.path or [], "extensions": extensions}
